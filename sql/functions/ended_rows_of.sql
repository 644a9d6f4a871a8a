-- The end of a row and the entries of the log about it are of one transaction and have one time: by the log, which knows its
-- contacts, those rows are found that nothing else leads to. No settings: part of the query that asks.
create or replace function crm_sync.ended_rows_of(p_organization_id uuid, p_contact_ids uuid[], p_message_id uuid, p_times timestamptz[])
returns setof public.sync_queue
language sql stable rows 3
as $$
  select q.*
  from unnest(p_contact_ids) as k (id)
  cross join lateral (
    select r.* from public.sync_queue as r
    where r.contact_id = k.id and r.completed_at is not null and r.last_error is not null
    limit 2000
  ) as q
  where q.organization_id = p_organization_id and q.message_id = p_message_id
  union all
  select q.*
  from unnest(p_times) as t (at)
  cross join lateral (
    select r.* from public.sync_queue as r
    where r.completed_at = t.at
    limit 10000
  ) as q
  where q.organization_id = p_organization_id and q.message_id = p_message_id and q.last_error is null
$$;
comment on function crm_sync.ended_rows_of(uuid, uuid[], uuid, timestamptz[]) is
  'Reader: what of a message failed or was skipped, among 2,000 such rows of its contact, and what was completed at these times.';
