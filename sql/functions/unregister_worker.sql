create or replace function crm_sync.unregister_worker(p_worker_id uuid) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  delete from crm_sync.daemons as w where w.id = p_worker_id;
  select crm_sync.ring() -- what it handed back, and what its last batches asked for, is there for those that sleep
$$;
comment on function crm_sync.unregister_worker(uuid) is 'Worker: says goodbye, and wakes those that stay.';
