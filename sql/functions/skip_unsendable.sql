create or replace function crm_sync.skip_unsendable(p_organization_id uuid, p_integration_id bigint, p_row_ids bigint[]) returns bigint[]
language sql
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  with claimed as materialized (
    select p_organization_id as organization_id, p_integration_id as integration_id, u.id from unnest(p_row_ids) as u (id)
  ),
  judged as materialized (
    select q.organization_id, q.id, case
      when k.id is null then 'the contact does not exist any more'
      when coalesce(btrim(k.email), '') = '' then 'the contact has no e-mail address'
      when length(btrim(k.email)) > 254 or btrim(k.email) !~ '^[^@[:space:]<>,;]+@[^@[:space:]<>,;]+\.[^@[:space:]<>,;.]+$' then 'the contact''s e-mail address is malformed'
      when q.queue_type <> 'contact_sync' and coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id') is null
        then 'the contact is not known in the CRM: sync the contact first'
      when q.queue_type = 'activity_sync' and g.id is null then 'the message does not exist any more'
    end as reason
    from claimed as u
    join public.sync_queue as q on q.organization_id = u.organization_id and q.id = u.id
    left join public.contacts as k on k.organization_id = u.organization_id and k.id = q.contact_id
    left join lateral (
      select m.external_contact_id, m.conflict_data from public.contact_sync_mappings as m
      where m.organization_id = u.organization_id and m.integration_id = u.integration_id and m.contact_id = q.contact_id
      offset 0 -- by its whole key, not all mappings of the connection
    ) as m on true
    left join public.inbox_messages as g on g.organization_id = u.organization_id and g.id = q.message_id
  ),
  skipped as (
    update public.sync_queue as q
    set status = 'skipped', last_error = j.reason, failure = null, completed_at = now(), next_attempt_at = null
    from judged as j
    where j.reason is not null and q.organization_id = j.organization_id and q.id = j.id
  )
  select coalesce(array_agg(j.id order by j.id), '{}') from judged as j where j.reason is null
$$;
comment on function crm_sync.skip_unsendable(uuid, bigint, bigint[]) is 'Worker: skips, with a reason, the rows that no CRM could take; returns the others.';
