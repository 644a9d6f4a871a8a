create or replace function crm_sync.register_worker(p_worker_id uuid, p_host text, p_pid integer, p_version text, p_listening boolean) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into crm_sync.daemons (id, host, pid, version, listening)
  values (p_worker_id, p_host, p_pid, p_version, p_listening)
  on conflict (id) do update
  set host = excluded.host, pid = excluded.pid, version = excluded.version, listening = excluded.listening, last_seen_at = clock_timestamp()
$$;
comment on function crm_sync.register_worker(uuid, text, integer, text, boolean) is 'Worker: says that this daemon is alive, at its start and whenever its LISTEN connection comes or goes.';
