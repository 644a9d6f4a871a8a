-- Each call goes on where the last one ended: while an old snapshot keeps dead index entries, beginning anew would mean to
-- wade through everything that was purged before.
create or replace function crm_sync.purge(p_since timestamptz default '-infinity', p_limit integer default 1000) returns timestamptz
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_before timestamptz := now() - (select c.retain_finished from crm_sync.config as c);
  v_due record;
  v_count bigint;
begin
  select array_agg(q.organization_id) as organization_ids, array_agg(q.id) as ids, array_agg(distinct q.integration_id) as integration_ids,
    (array_agg(q.integration_id))[1] as first_integration_id,
    max(q.completed_at) as reached
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

  select sum(d.rows) into v_count
  from crm_sync.delete_finished(v_due.organization_ids, v_due.ids,
    v_due.first_integration_id || array_remove(v_due.integration_ids, v_due.first_integration_id), v_before) as d;
  -- rows and counters are lost together or not at all, so nobody has to wait for the disk
  perform pg_catalog.set_config('synchronous_commit', 'off', true);
  return case when v_count > 0 or v_due.reached > p_since then v_due.reached end;
end;
$$;
comment on function crm_sync.purge(timestamptz, integer) is
  'Worker: deletes finished rows that are past their retention, those first that were finished first; returns where to go on, null when there are no more.';
