-- The one place where rows are counted for whoever asks. What is few is counted now; what is much is taken from the last tally,
-- and counted to the end where there is none that is fresh: no daemon runs then, and the answer is right and slow.
-- With settings of its own, and its plan kept: a planner that expects a million rows would compile the query before it begins.
create or replace function crm_sync.lane_counts(p_integration_id bigint default null)
returns table (
  organization_id uuid, integration_id bigint, waiting bigint, running bigint, retrying bigint, failed bigint, skipped bigint,
  oldest_at timestamptz, due_at timestamptz, counted_at timestamptz
)
language plpgsql stable rows 100
set search_path = pg_catalog, pg_temp
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
  select l.organization_id, l.integration_id,
    coalesce(t.waiting, o.waiting), coalesce(t.running, o.running), coalesce(t.retrying, o.retrying),
    coalesce(t.failed, f.failed), coalesce(t.skipped, s.skipped),
    case when t.waiting is null then o.oldest_at else t.oldest_at end, case when t.waiting is null then o.due_at else t.due_at end,
    coalesce(t.counted_at, now())
  from crm_sync.lanes as l
  left join crm_sync.tallies as t
    on t.organization_id = l.organization_id and t.integration_id = l.integration_id and t.counted_at > l.recount_at and t.believed_until > now()
  -- `offset 0` keeps what is asked of the tally in front of each: nothing is begun where it says
  left join lateral (
    select o.*
    from (select crm_sync.floors_of(l) as floors offset 0) as v
    cross join lateral crm_sync.count_open(l.organization_id, l.integration_id, v.floors) as o
    where t.waiting is null
    offset 0
  ) as o on true
  left join lateral (
    select count(*) as failed from public.sync_queue as q
    where q.integration_id = l.integration_id and q.completed_at is not null and q.failure is not null
    having t.failed is null
    offset 0
  ) as f on true
  left join lateral (
    select count(*) as skipped from public.sync_queue as q
    where q.integration_id = l.integration_id and q.completed_at is not null and q.failure is null and q.last_error is not null
    having t.skipped is null
    offset 0
  ) as s on true
  where p_integration_id is null or l.integration_id = p_integration_id;
end;
$$;
comment on function crm_sync.lane_counts(bigint) is
  'Reader: how many rows of each connection wait, run, are to be tried again, failed or were skipped, and since when the oldest waits; counted now, or at the time that counted_at says where they are many.';
