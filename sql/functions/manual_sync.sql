create or replace function crm_sync.manual_sync(p_organization_id uuid, p_contact_ids uuid[])
returns table (contact_id uuid, integration_id bigint, queue_id bigint, outcome text, reason text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not crm_sync.caller_may_manage(p_organization_id) then
    raise exception using errcode = 'CS021', message = 'this organization is not yours to sync',
      hint = 'Ask as a member of the organization, or as an operator (a member of crm_sync_daemon).';
  end if;
  if p_contact_ids is null or cardinality(p_contact_ids) = 0 then
    raise exception using errcode = 'CS020', message = 'no contacts were given', hint = 'select * from crm_sync.manual_sync(organization, array[contact, …])';
  end if;
  perform pg_catalog.pg_current_xact_id(); -- before ids are given out: see mark_lane
  return query
  with asked as (
    select u.id as contact_id, min(u.position) as position
    from unnest(p_contact_ids) with ordinality as u (id, position)
    group by u.id
  ),
  judged as (
    select a.contact_id, a.position, i.id as integration_id, i.id is not null as has_integration, n.message_id, n.classification_id, n.intent, n.priority,
      case
        when k.id is null then 'the organization has no such contact'
        when i.id is null then 'the organization has no connected CRM'
        when i.status = 'error' then 'the connection needs a person first: ' || coalesce(i.last_error, 'see its status')
        when exists (
          select from crm_sync.erasures as e where e.organization_id = p_organization_id and e.contact_id = a.contact_id and e.lifted_at is null
        ) then 'this person was erased'
        when coalesce(btrim(k.email), '') = '' then 'the contact has no e-mail address'
        when exists (
          select from public.sync_queue as q
          where q.integration_id = i.id and q.contact_id = a.contact_id and q.completed_at is null and q.queue_type = 'contact_sync'
        ) then 'it is waiting already'
      end as reason
    from asked as a
    left join public.contacts as k on k.organization_id = p_organization_id and k.id = a.contact_id
    left join public.user_integrations as i on i.organization_id = p_organization_id and i.status <> 'disconnected' and k.id is not null
    left join lateral crm_sync.newest_classification(p_organization_id, k.id) as n on true
  ),
  enqueued as (
    insert into public.sync_queue (organization_id, integration_id, contact_id, message_id, classification_id, queue_type, priority, payload)
    select p_organization_id, j.integration_id, j.contact_id, j.message_id, j.classification_id, 'contact_sync', 2,
      jsonb_build_object('requested_by', crm_sync.caller_name())
    from judged as j
    where j.reason is null
    order by j.position, j.integration_id
    returning id, sync_queue.contact_id, sync_queue.integration_id
  )
  select j.contact_id, j.integration_id, e.id, case when e.id is null then 'not enqueued' else 'enqueued' end, j.reason
  from judged as j
  left join enqueued as e on e.contact_id = j.contact_id and e.integration_id = j.integration_id
  order by j.position, j.integration_id;
  perform crm_sync.ring();
end;
$$;
comment on function crm_sync.manual_sync(uuid, uuid[]) is
  'Operator: syncs contacts now, on every connection of their organization; says for each what was enqueued, or why not.';
