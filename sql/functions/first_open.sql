-- Without settings of its own, so that the planner can put it into the query that asks: it runs as whoever asks.
create or replace function crm_sync.first_open(p_integration_id bigint, p_floors bigint[])
returns table (id bigint, created_at timestamptz, scheduled_at timestamptz, status text, next_attempt_at timestamptz, last_error text)
language sql stable rows 10
as $$
  select f.*
  from unnest(p_floors) with ordinality as p (floor, priority)
  cross join lateral (
    select q.id, q.created_at, q.scheduled_at, q.status, q.next_attempt_at, q.last_error
    from public.sync_queue as q
    where q.integration_id = p_integration_id and q.priority = p.priority and q.completed_at is null and q.next_attempt_at is null and q.id > p.floor
    order by q.id
    limit 1
  ) as f
  union all
  (
    select q.id, q.created_at, q.scheduled_at, q.status, q.next_attempt_at, q.last_error
    from public.sync_queue as q
    where q.integration_id = p_integration_id and q.completed_at is null and q.next_attempt_at is not null
    order by q.next_attempt_at
    limit 100
  )
$$;
comment on function crm_sync.first_open(bigint, bigint[]) is 'Reader: the first open row of each priority of a connection, above the given ids, and the next hundred of those that wait for a time.';
