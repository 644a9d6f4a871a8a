-- What a person has changed in the CRM stays: without what was last sent, fields are written where the CRM has none.
create or replace function crm_sync.resync(p_contact_id uuid, p_integration_id bigint default null) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_organization_id uuid := crm_sync.require_contact(p_contact_id);
  v_integration public.user_integrations;
  v_integration_id bigint;
  v_id bigint;
  v_forward record;
  v_words text;
  v_count bigint := 0;
begin
  if p_integration_id is not null then
    v_integration := crm_sync.require_integration(p_integration_id);
    if v_integration.organization_id <> v_organization_id then
      raise exception using errcode = 'CS059', message = format('connection %s is not of the organization of contact %s', p_integration_id, p_contact_id),
        hint = 'Leave the connection away: all of the contact''s organization get it.';
    end if;
  end if;
  if not exists (select from public.contacts as k where k.organization_id = v_organization_id and k.id = p_contact_id and btrim(k.email) <> '') then
    raise exception using errcode = 'CS059', message = format('contact %s has no e-mail address, and no CRM takes it without one', p_contact_id),
      hint = 'Give the contact an address first.';
  elsif not exists (
    select from public.user_integrations as i
    where i.organization_id = v_organization_id and i.status <> 'disconnected' and i.id = coalesce(p_integration_id, i.id)
  ) then
    raise exception using errcode = 'CS059', message = 'there is no connection that could take the contact', hint = 'Connect a CRM, or connect it again.';
  end if;
  perform pg_catalog.pg_current_xact_id(); -- before ids are given out: see mark_lane
  for v_integration_id in
    select i.id from public.user_integrations as i
    where i.organization_id = v_organization_id and i.status <> 'disconnected' and i.id = coalesce(p_integration_id, i.id)
    order by i.id
  loop
    v_integration := crm_sync.begin_action(v_integration_id);
    with forward as (
      update public.sync_queue as q
      set next_attempt_at = null, uncertain = true
      where q.integration_id = v_integration_id and q.contact_id = p_contact_id and q.completed_at is null and q.batch_id is null and q.queue_type = 'contact_sync'
      returning q.id, q.priority
    )
    select array_agg(f.id) as ids, array_agg(f.priority) as priorities into v_forward from forward as f;
    if v_forward.ids is null then
      -- with the newest that was said of it; uncertain: the CRM is looked into before anything is sent
      insert into public.sync_queue (organization_id, integration_id, contact_id, message_id, classification_id, queue_type, priority, uncertain, payload)
      select v_organization_id, v_integration_id, p_contact_id, n.message_id, n.classification_id, 'contact_sync', 2, true,
        jsonb_build_object('requested_by', crm_sync.caller_name())
      from (select) as one
      left join lateral crm_sync.newest_classification(v_organization_id, p_contact_id) as n on true
      returning id into v_id;
      v_forward.ids := array[v_id];
      v_forward.priorities := array[2::smallint];
      v_count := v_count + 1;
      v_words := 'enqueued in full by ';
    else
      v_count := v_count + cardinality(v_forward.ids);
      v_words := 'waited already and is sent in full next, asked for by ';
    end if;
    update public.contact_sync_mappings as m
    set sync_data = m.sync_data - 'fields'
    where m.contact_id = p_contact_id and (m.integration_id = v_integration_id) is true and (m.organization_id = v_organization_id) is true; -- as in contact_of
    perform crm_sync.end_action(v_integration, 'Contact synced again', format('Contact %s %s%s', p_contact_id, v_words, crm_sync.caller_name()),
      v_forward.ids, v_forward.priorities);
  end loop;
  return v_count;
end;
$$;
comment on function crm_sync.resync(uuid, bigint) is
  'Operator: sends a contact again although nothing changed, on a connection or (null) all of its organization: looks for its record, makes it anew where it vanished, and fills what is blank there; returns how many rows were enqueued or brought forward.';
