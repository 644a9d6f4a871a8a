-- The queue has no index of messages, which every producer would pay for: they are found through their contact. No settings:
-- part of the query that asks.
create or replace function crm_sync.open_rows_of(p_organization_id uuid, p_contact_ids uuid[], p_message_id uuid, p_limit integer) returns setof public.sync_queue
language sql stable rows 3
as $$
  select q.*
  from public.user_integrations as i
  cross join lateral unnest(p_contact_ids) as k (id)
  cross join lateral (
    select r.* from public.sync_queue as r
    where r.integration_id = i.id and r.contact_id = k.id and r.completed_at is null
    order by r.id desc
    limit p_limit
  ) as q
  where i.organization_id = p_organization_id and q.message_id = p_message_id
$$;
comment on function crm_sync.open_rows_of(uuid, uuid[], uuid, integer) is
  'Reader: what of a message has not come to its end on any connection, among so many of the newest open rows of its contact on each; null looks at all.';
