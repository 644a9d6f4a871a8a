-- The open rows of a connection, without looking at them: how many by an index alone, how many run by their batches; only
-- those that are to be tried again are read, and the first of each priority. Dead entries of an index that rows have left are
-- not waded through, which on a replica nobody would clear away: a lane's floors say where nothing ready is open below. What
-- waits for its time has no such order: the first hundred are looked at.
-- Without settings of its own, so that the planner can put it into the query that asks: it runs as whoever asks.
create or replace function crm_sync.count_open(p_organization_id uuid, p_integration_id bigint, p_floors bigint[])
returns table (waiting bigint, running bigint, retrying bigint, oldest_at timestamptz, due_at timestamptz)
language sql stable rows 1
as $$
  select greatest(o.rows - b.rows - r.rows, 0), b.rows, r.rows, least(r.oldest_at, h.oldest_at), least(r.due_at, h.due_at)
  from (
    -- in two indexes in which rows come in the order in which they lie
    select (select count(*) from public.sync_queue as q where q.integration_id = p_integration_id and q.completed_at is null and q.next_attempt_at is null)
      + (select count(*) from public.sync_queue as q where q.integration_id = p_integration_id and q.completed_at is null and q.next_attempt_at is not null) as rows
    offset 0 -- counted once, although it is asked twice
  ) as o
  cross join (
    select coalesce(sum(cardinality(b.row_ids)), 0)::bigint as rows from crm_sync.batches as b
    where b.organization_id = p_organization_id and b.integration_id = p_integration_id
  ) as b
  cross join (
    select count(*) as rows, min(q.created_at) as oldest_at, min(q.scheduled_at) as due_at
    from public.sync_queue as q
    where q.integration_id = p_integration_id and q.completed_at is null and q.last_error is not null and q.status = 'retry'
  ) as r
  cross join lateral (
    select min(v.created_at) as oldest_at, min(v.scheduled_at) as due_at from crm_sync.first_open(p_integration_id, p_floors) as v
    where o.rows > 0
  ) as h
$$;
comment on function crm_sync.count_open(uuid, bigint, bigint[]) is 'Reader: how many rows of a connection wait, run and are to be tried again, and since when the oldest waits.';
