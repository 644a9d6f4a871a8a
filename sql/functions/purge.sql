create or replace function crm_sync.purge(p_limit integer default 5000) returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_lane record;
  v_count integer := 0;
  v_gone record;
  v_partition record;
begin
  for v_lane in
    select q.organization_id, q.integration_id, array_agg(q.id) as ids
    from (
      select q.organization_id, q.integration_id, q.id
      from public.sync_queue as q
      where q.completed_at < now() - (select c.retain_finished from crm_sync.config as c)
      order by q.completed_at
      limit p_limit
    ) as q
    group by q.organization_id, q.integration_id
    order by q.integration_id
  loop
    perform from crm_sync.lanes as l
    where l.organization_id = v_lane.organization_id and l.integration_id = v_lane.integration_id
    for no key update;
    with gone as (
      delete from public.sync_queue as q
      using unnest(v_lane.ids) as u (id)
      where q.organization_id = v_lane.organization_id and q.id = u.id and q.completed_at is not null
      returning q.status
    )
    -- counted from what went, not from what was found: a row may have been put back in between
    select count(*) as rows, count(*) filter (where g.status = 'failed') as failed, count(*) filter (where g.status = 'skipped') as skipped
    into v_gone
    from gone as g;
    update crm_sync.lanes as l
    set purged = l.purged + v_gone.rows, purged_failed = l.purged_failed + v_gone.failed, purged_skipped = l.purged_skipped + v_gone.skipped
    where l.organization_id = v_lane.organization_id and l.integration_id = v_lane.integration_id;
    v_count := v_count + v_gone.rows;
    exit; -- one lane's lock in a transaction; the next call takes the next lane
  end loop;

  -- rows that a producer committed while their connection was being deleted: no lane leads to them any more
  with recursive open as (
    (select q.integration_id from public.sync_queue as q where q.status in ('pending', 'retry') and q.next_attempt_at is null order by q.integration_id limit 1)
    union all
    select (
      select q.integration_id from public.sync_queue as q
      where q.status in ('pending', 'retry') and q.next_attempt_at is null and q.integration_id > o.integration_id
      order by q.integration_id limit 1
    )
    from open as o
    where o.integration_id is not null
  )
  delete from public.sync_queue as q
  using open as o
  where o.integration_id is not null and q.integration_id = o.integration_id and q.status in ('pending', 'retry')
    and not exists (select from public.user_integrations as i where i.id = o.integration_id);

  delete from crm_sync.orphans as o where o.seen_at < now() - (select c.retain_finished from crm_sync.config as c);

  for v_partition in
    select c.relname
    from pg_catalog.pg_inherits as h
    join pg_catalog.pg_class as c on c.oid = h.inhrelid
    where h.inhparent = 'public.sync_activity_logs'::regclass and c.relname ~ '_\d{4}_\d{2}$'
      and to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' < now() - (select f.retain_logs from crm_sync.config as f)
  loop
    execute format('drop table public.%I', v_partition.relname);
  end loop;
  return v_count;
end;
$$;
comment on function crm_sync.purge(integer) is 'Worker: deletes finished rows of one connection and months of the log that are past their retention; call it until it returns 0.';
