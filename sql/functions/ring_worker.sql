create or replace function crm_sync.ring_worker(p_worker_id uuid) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select crm_sync.tell_listeners('crm_sync', p_worker_id::text)
$$;
comment on function crm_sync.ring_worker(uuid) is 'Worker: rings its own bell, to learn whether its LISTEN connection still hears.';
