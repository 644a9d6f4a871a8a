-- Dropping locks the whole log for a moment, and whoever writes to it would queue up behind us while we wait for a report to
-- end. So the partitions that no writer uses are locked first, without waiting: a report that reads the log holds one of them.
create or replace function crm_sync.drop_log_partitions() returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
  v_partition regclass;
begin
  select p.partition into v_partition
  from crm_sync.log_partitions() as p
  where p.ends_at <= now() - (select c.retain_logs from crm_sync.config as c)
  order by p.ends_at
  limit 1;
  if v_partition is null then
    return 0;
  end if;
  execute format('lock table %s, public.sync_activity_logs_default in access exclusive mode nowait', v_partition);
  execute format('drop table %s', v_partition);
  return 1;
exception when lock_not_available then
  return 0; -- the next time will do
end;
$$;
comment on function crm_sync.drop_log_partitions() is
  'Worker: drops the oldest partition of the activity log that is past its retention, unless somebody reads it; call it until it returns 0.';
