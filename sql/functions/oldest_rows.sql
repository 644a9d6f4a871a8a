-- Heads of indexes only, from a lane's floors on, below which no ready row is open: dead entries of an index that rows have
-- left are not waded through, which on a replica nobody would clear away. What is deferred has no such order; its first
-- hundred are looked at, and the row that was the oldest when the connection was counted last.
create or replace function crm_sync.oldest_rows(p_integration_id bigint default null)
returns table (organization_id uuid, integration_id bigint, queue_id bigint, created_at timestamptz, status text, next_attempt_at timestamptz, last_error text)
language plpgsql stable rows 100
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  select l.organization_id, l.integration_id, o.id, o.created_at, o.status, o.next_attempt_at, o.last_error
  from crm_sync.lanes as l
  cross join lateral (
    select r.*
    from (
      select f.id, f.created_at, f.status, f.next_attempt_at, f.last_error
      from unnest(l.floors) with ordinality as p (floor, priority)
      cross join lateral (
        select q.id, q.created_at, q.status, q.next_attempt_at, q.last_error from public.sync_queue as q
        where q.integration_id = l.integration_id and q.priority = p.priority and q.completed_at is null and q.next_attempt_at is null
          and q.id > case when l.search_all_at = '-infinity' then 0 else p.floor end -- rows were put back that the floors do not know of
        order by q.id
        limit 1
      ) as f
      union all
      (
        select q.id, q.created_at, q.status, q.next_attempt_at, q.last_error from public.sync_queue as q
        where q.integration_id = l.integration_id and q.completed_at is null and q.next_attempt_at is not null
        order by q.next_attempt_at
        limit 100
      )
      union all
      select q.id, q.created_at, q.status, q.next_attempt_at, q.last_error
      from crm_sync.tallies as t
      cross join lateral crm_sync.row_of(t.organization_id, t.oldest_id) as q
      where t.organization_id = l.organization_id and t.integration_id = l.integration_id and q.completed_at is null
    ) as r
    order by r.created_at, r.id
    limit 1
  ) as o
  where p_integration_id is null or l.integration_id = p_integration_id;
end;
$$;
comment on function crm_sync.oldest_rows(bigint) is
  'Reader: the oldest unsent row of each connection that has one, found at the heads of indexes; of rows that wait for a time, the first hundred are looked at.';
