create or replace function crm_sync.beat(p_worker_id uuid) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform pg_catalog.set_config('synchronous_commit', 'off', true);
  delete from crm_sync.daemons as w where w.last_seen_at < clock_timestamp() - interval '10 minutes' and w.id <> p_worker_id;
  update crm_sync.daemons as w set last_seen_at = clock_timestamp() where w.id = p_worker_id;
  return found;
end;
$$;
comment on function crm_sync.beat(uuid) is 'Worker: a sign of life; also forgets daemons that gave none for ten minutes. False: this one was forgotten and must register again.';
