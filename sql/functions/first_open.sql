-- Without settings of its own, so that the planner can put it into the query that asks: it runs as whoever asks. Give it the
-- floors of a subquery with `offset 0`, lest they be made anew wherever they are used.
-- The priority with the lowest floor has the oldest rows and is looked at first. Where another had nothing open when the floors
-- were raised, and that was above its first row, whatever has come there since is newer: it is not looked at. Where the first
-- has nothing, one look along the index tells whether any of the others has.
create or replace function crm_sync.first_open(p_integration_id bigint, p_floors bigint[])
returns table (id bigint, created_at timestamptz, scheduled_at timestamptz, status text, next_attempt_at timestamptz, last_error text)
language sql stable rows 10
as $$
  select v.*
  from (
    select b.lowest, b.highest, array_position(p_floors, b.lowest) as priority
    from (
      -- by hand: a table of ten rows takes longer than the look that it spares
      select least(p_floors[1], p_floors[2], p_floors[3], p_floors[4], p_floors[5], p_floors[6], p_floors[7], p_floors[8], p_floors[9], p_floors[10]) as lowest,
        greatest(p_floors[1], p_floors[2], p_floors[3], p_floors[4], p_floors[5], p_floors[6], p_floors[7], p_floors[8], p_floors[9], p_floors[10]) as highest
      offset 0
    ) as b
  ) as f
  left join lateral (
    select q.id, q.created_at, q.scheduled_at, q.status, q.next_attempt_at, q.last_error
    from public.sync_queue as q
    where q.integration_id = p_integration_id and q.priority = f.priority and q.completed_at is null and q.next_attempt_at is null and q.id > f.lowest
    order by q.id
    limit 1
  ) as h on true
  cross join lateral (
    select h.* where h.id is not null
    union all
    select o.*
    from unnest(p_floors) with ordinality as p (floor, priority)
    cross join lateral (
      select q.id, q.created_at, q.scheduled_at, q.status, q.next_attempt_at, q.last_error
      from public.sync_queue as q
      where q.integration_id = p_integration_id and q.priority = p.priority and q.completed_at is null and q.next_attempt_at is null and q.id > p.floor
      order by q.id
      limit 1
    ) as o
    where p.priority <> f.priority and (h.id is null or p.floor < h.id or p.floor < f.highest)
      and case
        when h.id is not null then h.id > f.highest or cardinality(array_remove(p_floors, f.highest)) > 1
        else exists (
          select from public.sync_queue as q
          where q.integration_id = p_integration_id and q.priority = any ('{1,2,3,4,5,6,7,8,9,10}'::smallint[])
            and q.completed_at is null and q.next_attempt_at is null and q.id > f.lowest
        )
      end
  ) as v
  union all
  (
    select q.id, q.created_at, q.scheduled_at, q.status, q.next_attempt_at, q.last_error
    from public.sync_queue as q
    where q.integration_id = p_integration_id and q.completed_at is null and q.next_attempt_at is not null
    order by q.next_attempt_at
    limit 100
  )
$$;
comment on function crm_sync.first_open(bigint, bigint[]) is
  'Reader: the oldest open rows of a connection: the first of each priority, above the given ids, but for priorities where all rows are newer, and the next hundred of those that wait for a time.';
