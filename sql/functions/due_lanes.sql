-- Two loose index scans: one probe for each connection that has waiting rows, however many rows wait.
create or replace function crm_sync.due_lanes(p_now timestamptz default clock_timestamp())
returns table (integration_id bigint, is_due boolean, due_at timestamptz, last_claimed_at timestamptz)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  with recursive ready as (
    (
      select q.integration_id from public.sync_queue as q
      where q.completed_at is null and q.next_attempt_at is null and q.batch_id is null
      order by q.integration_id, q.priority, q.id limit 1
    )
    union all
    select (
      select q.integration_id from public.sync_queue as q
      where q.completed_at is null and q.next_attempt_at is null and q.batch_id is null and q.integration_id > r.integration_id
      order by q.integration_id, q.priority, q.id limit 1
    )
    from ready as r
    where r.integration_id is not null
  ),
  deferred as (
    (
      select q.integration_id, q.next_attempt_at from public.sync_queue as q
      where q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null
      order by q.integration_id, q.next_attempt_at limit 1
    )
    union all
    select n.integration_id, n.next_attempt_at
    from deferred as d
    cross join lateral (
      select q.integration_id, q.next_attempt_at from public.sync_queue as q
      where q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null and q.integration_id > d.integration_id
      order by q.integration_id, q.next_attempt_at limit 1
    ) as n
  ),
  wanted as (
    select w.integration_id, min(w.at) as at
    from (
      select r.integration_id, '-infinity'::timestamptz as at from ready as r where r.integration_id is not null
      union all
      select d.integration_id, d.next_attempt_at from deferred as d
      union all
      select b.integration_id, b.lease_until from crm_sync.batches as b
    ) as w
    group by w.integration_id
  )
  select l.integration_id, w.due_at <= p_now and f.in_flight < f.allowed,
    -- where no more batches are allowed, a lease that ends is the next thing that can happen by itself
    case when f.in_flight < f.allowed then w.due_at else greatest(w.due_at, f.lease_until) end, l.last_claimed_at
  from (
    select w.integration_id, greatest(w.at, l.parked_until) as due_at
    from wanted as w
    join crm_sync.lanes as l on l.integration_id = w.integration_id
  ) as w
  join crm_sync.lanes as l on l.integration_id = w.integration_id and l.paused_at is null
  join public.user_integrations as i
    on i.organization_id = l.organization_id and i.id = l.integration_id and i.status in ('connected', 'syncing')
  join public.integration_providers as p on p.id = i.provider_id and p.is_active
    and not exists (select from crm_sync.wide_pauses(i.organization_id, p.name))
  cross join crm_sync.config as c
  cross join lateral (
    select count(*) as in_flight, min(b.lease_until) as lease_until,
      crm_sync.allowed_in_flight(p.config, l.failures, c.batches_in_flight) as allowed
    from crm_sync.batches as b
    where b.organization_id = l.organization_id and b.integration_id = l.integration_id and b.lease_until > p_now
  ) as f;
end;
$$;
comment on function crm_sync.due_lanes(timestamptz) is 'Worker: the connections with work: whether it may be taken now, and from when on.';
