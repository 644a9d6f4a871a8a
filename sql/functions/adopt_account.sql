-- After new credentials turned out to be for another account. Everything that names a record of the old one goes, or stays, together.
create or replace function crm_sync.adopt_account(p_integration_id bigint, p_keeps_ids boolean) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_integration public.user_integrations := crm_sync.require_integration(p_integration_id);
  v_lane crm_sync.lanes;
  v_batch_id bigint;
  v_contacts bigint := 0;
  v_words text;
begin
  if p_keeps_ids is null then
    raise exception using errcode = 'CS020', message = 'say whether the ids are to be kept', hint = 'True only where the other account holds the same records under the same ids.';
  end if;
  perform from public.user_integrations as i where i.id = p_integration_id for no key update; -- connection before lane
  select * into v_lane from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  if v_lane.other_account is null then
    raise exception using errcode = 'CS020', message = 'this connection does not lead to another account', hint = 'Nothing was changed.';
  end if;
  -- what is under way was made for the old account: its rows go back, and what is still said of them is void
  for v_batch_id in select b.id from crm_sync.batches as b where b.organization_id = v_integration.organization_id and b.integration_id = p_integration_id loop
    perform crm_sync.release_batch(v_batch_id);
  end loop;

  if not p_keeps_ids then
    update public.contact_sync_mappings as m
    set external_contact_id = null, external_deal_id = null, external_company_id = null, sync_status = 'pending', sync_data = '{}', conflict_data = null, last_synced_at = null
    where m.organization_id = v_integration.organization_id and m.integration_id = p_integration_id;
    get diagnostics v_contacts = row_count;
    delete from crm_sync.effects as e
    where e.organization_id = v_integration.organization_id and e.integration_id = p_integration_id
      and not exists (
        select from public.sync_queue as q
        where q.integration_id = e.integration_id and q.contact_id = e.contact_id and q.completed_at is not null and q.failure is not null and q.payload ->> 'key' = e.key
      );
    update crm_sync.effects as e -- of rows that have failed and may be retried
    set external_id = null, confirmed_at = null
    where e.organization_id = v_integration.organization_id and e.integration_id = p_integration_id;
    delete from crm_sync.crm_fields as f where f.organization_id = v_integration.organization_id and f.integration_id = p_integration_id;
    -- what hung on a contact of the old account begins again with the contact
    perform pg_catalog.pg_current_xact_id(); -- before ids are given out: see mark_lane
    with hanging as (
      update public.sync_queue as q
      set status = 'skipped', last_error = case
          when q.queue_type = 'contact_erasure' then 'the connection leads to another account now: delete what was made for this person in the former one by hand'
          else 'the connection leads to another account now: done anew with its contact'
        end, failure = null, completed_at = now(), next_attempt_at = null
      where q.integration_id = p_integration_id and q.completed_at is null and q.queue_type <> 'contact_sync'
      returning q.*
    )
    insert into public.sync_queue (organization_id, integration_id, contact_id, message_id, classification_id, queue_type, priority)
    select h.organization_id, h.integration_id, h.contact_id, h.message_id, h.classification_id, 'contact_sync', min(h.priority)
    from hanging as h
    where h.queue_type <> 'contact_erasure' and not exists (
      select from public.sync_queue as q
      where q.integration_id = p_integration_id and q.contact_id = h.contact_id and q.completed_at is null and q.queue_type = 'contact_sync'
        and q.classification_id is not distinct from h.classification_id
    )
    group by h.organization_id, h.integration_id, h.contact_id, h.message_id, h.classification_id
    order by min(h.id);
  end if;
  update crm_sync.lanes as l
  set other_account = null, schema_ready_at = null, described_at = null, look_behind_at = '-infinity', search_all_at = '-infinity', recount_at = clock_timestamp(),
    account = case when p_keeps_ids then l.account else '{}' end,
    parked_until = case when l.parked_kind = 'other_account' then null else l.parked_until end,
    parked_reason = case when l.parked_kind = 'other_account' then null else l.parked_reason end,
    parked_kind = nullif(l.parked_kind, 'other_account')
  where l.integration_id = p_integration_id;
  update public.user_integrations as i
  set account_id = v_lane.other_account ->> 'id', account_name = v_lane.other_account ->> 'name', account_url = v_lane.other_account ->> 'url',
    status = case when i.status = 'error' and i.credentials is not null and v_lane.parked_kind = 'other_account' then 'connected' else i.status end
  where i.id = p_integration_id;

  v_words := format('It goes on with %s instead of %s; %s', crm_sync.account_words(v_lane.other_account ->> 'name', v_lane.other_account ->> 'id'),
    crm_sync.account_words(v_integration.account_name, v_integration.account_id),
    case when p_keeps_ids then 'the ids are kept' else format('the ids of %s %s are forgotten: each is looked up or made anew when it is synced next', v_contacts,
      case v_contacts when 1 then 'contact' else 'contacts' end) end);
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  values (v_integration.organization_id, p_integration_id, 'connection', 'info', 'Account replaced', v_words || ' (by ' || crm_sync.caller_name() || ')');
  perform crm_sync.ring();
  return v_words;
end;
$$;
comment on function crm_sync.adopt_account(bigint, boolean) is
  'Operator: goes on with the other account that new credentials lead to. True keeps all ids, for an account that is a copy of the old one; false forgets them, so that everything is looked up or made anew.';
