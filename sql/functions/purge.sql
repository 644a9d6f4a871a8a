-- Each call goes on where the last one ended: while an old snapshot keeps dead index entries, beginning anew would mean to
-- wade through everything that was purged before.
create or replace function crm_sync.purge(p_since timestamptz default '-infinity', p_limit integer default 1000) returns timestamptz
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_before timestamptz := now() - (select c.retain_finished from crm_sync.config as c);
  v_due record;
  v_lanes bigint[];
  v_busy bigint[];
  v_count integer;
begin
  select array_agg(q.organization_id) as organization_ids, array_agg(q.id) as ids, array_agg(distinct q.integration_id) as integration_ids,
    (array_agg(q.integration_id))[1] as first_integration_id, max(q.completed_at) as reached
  into v_due
  from (
    select q.organization_id, q.integration_id, q.id, q.completed_at
    from public.sync_queue as q
    where q.completed_at >= coalesce(p_since, '-infinity') and q.completed_at < v_before
    order by q.completed_at
    limit p_limit
  ) as q;
  if v_due.ids is null then
    return null;
  end if;

  -- the rows are of many connections: the lane of the first is waited for while nothing is held, the others are taken where
  -- they are free
  perform from crm_sync.lanes as l where l.integration_id = v_due.first_integration_id for no key update;
  v_lanes := array(
    select l.integration_id from crm_sync.lanes as l where l.integration_id = any (v_due.integration_ids) for no key update skip locked
  );
  if cardinality(v_lanes) < cardinality(v_due.integration_ids) then
    v_busy := array(
      select l.integration_id from crm_sync.lanes as l where l.integration_id = any (v_due.integration_ids) and l.integration_id <> all (v_lanes)
    );
  end if;
  -- looked up by their keys alone, one after the other, and judged then: by its age a planner would find the rows again, and
  -- hold each against each
  with found as materialized (
    select q.*
    from unnest(v_due.organization_ids, v_due.ids) as u (organization_id, id)
    cross join lateral (
      select q.organization_id, q.id, q.integration_id, q.completed_at from public.sync_queue as q
      where q.organization_id = u.organization_id and q.id = u.id
      for update skip locked
    ) as q
  ),
  doomed as materialized (
    select f.organization_id, f.id from found as f where f.completed_at < v_before and (f.integration_id = any (v_busy)) is not true
  ),
  gone as (
    delete from public.sync_queue as q
    using doomed as d
    where q.organization_id = d.organization_id and q.id = d.id
    returning q.organization_id, q.integration_id, q.status
  ),
  counts as (
    select g.organization_id, g.integration_id, count(*) as rows,
      count(*) filter (where g.status = 'failed') as failed, count(*) filter (where g.status = 'skipped') as skipped
    from gone as g
    group by g.organization_id, g.integration_id
  ),
  counted as (
    update crm_sync.lanes as l
    set purged = l.purged + c.rows, purged_failed = l.purged_failed + c.failed, purged_skipped = l.purged_skipped + c.skipped
    from counts as c
    where l.organization_id = c.organization_id and l.integration_id = c.integration_id
  )
  select sum(c.rows) into v_count from counts as c;
  -- rows and counters are lost together or not at all, so nobody has to wait for the disk
  perform pg_catalog.set_config('synchronous_commit', 'off', true);
  return case when v_count > 0 or v_due.reached > p_since then v_due.reached end;
end;
$$;
comment on function crm_sync.purge(timestamptz, integer) is
  'Worker: deletes finished rows that are past their retention, those first that were finished first; returns where to go on, null when there are no more.';
