create or replace function crm_sync.disarm_worker(p_worker_id uuid) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.set_config('synchronous_commit', 'off', true); -- must be seen, need not survive a crash
  update crm_sync.daemons as w set armed = false, last_seen_at = clock_timestamp() where w.id = p_worker_id
$$;
comment on function crm_sync.disarm_worker(uuid) is 'Worker: is awake and finds work by itself; producers need not ring.';
