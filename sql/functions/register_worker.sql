create or replace function crm_sync.register_worker(
  p_worker_id uuid, p_host text, p_pid integer, p_version text, p_listening boolean, p_schema_version integer default null
) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into crm_sync.daemons (id, host, pid, version, listening, schema_version)
  values (p_worker_id, p_host, p_pid, p_version, p_listening, p_schema_version)
  on conflict (id) do update
  set host = excluded.host, pid = excluded.pid, version = excluded.version, listening = excluded.listening,
    schema_version = excluded.schema_version, last_seen_at = clock_timestamp()
$$;
comment on function crm_sync.register_worker(uuid, text, integer, text, boolean, integer) is
  'Worker: says that this daemon is alive, at its start and whenever its LISTEN connection comes or goes, and for which schema it was made.';
