create or replace function crm_sync.delete_finished(p_organization_ids uuid[], p_ids bigint[], p_integration_ids bigint[], p_before timestamptz)
returns table (organization_id uuid, integration_id bigint, rows bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_lanes bigint[];
  v_busy bigint[];
begin
  -- the rows are of many connections: the lane of the first is waited for a moment while nothing is held, the others are taken
  -- where they are free
  perform crm_sync.lock_lane(p_integration_ids[1]);
  v_lanes := array(
    select l.integration_id from crm_sync.lanes as l where l.integration_id = any (p_integration_ids) for no key update skip locked
  );
  if cardinality(v_lanes) < cardinality(p_integration_ids) then
    v_busy := array(
      select l.integration_id from crm_sync.lanes as l where l.integration_id = any (p_integration_ids) and l.integration_id <> all (v_lanes)
    );
  end if;
  -- looked up by their keys alone, one after the other, and judged then: by its age a planner would find the rows again, and
  -- hold each against each
  return query
  with found as materialized (
    select q.*
    from unnest(p_organization_ids, p_ids) as u (organization_id, id)
    cross join lateral (
      select q.organization_id, q.id, q.integration_id, q.completed_at from public.sync_queue as q
      where q.organization_id = u.organization_id and q.id = u.id
      for update skip locked
    ) as q
  ),
  doomed as materialized (
    select f.organization_id, f.id from found as f where f.completed_at < p_before and (f.integration_id = any (v_busy)) is not true
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
  select c.organization_id, c.integration_id, c.rows from counts as c;
end;
$$;
comment on function crm_sync.delete_finished(uuid[], bigint[], bigint[], timestamptz) is
  'Worker: deletes those of these rows that were finished before a time, and counts them; waits a moment for the first of the connections and leaves out those that are busy.';
