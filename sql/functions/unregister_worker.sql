create or replace function crm_sync.unregister_worker(p_worker_id uuid) returns void
language sql
security definer
set search_path = ''
as $$
  delete from crm_sync.daemons as w where w.id = p_worker_id
$$;
comment on function crm_sync.unregister_worker(uuid) is 'Worker: says goodbye.';
