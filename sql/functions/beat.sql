-- The offset is measured by the daemon, by the round trip of the beat before: an older daemon knows of none.
create or replace function crm_sync.beat(p_worker_id uuid, p_clock_offset interval default null) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_catalog.set_config('synchronous_commit', 'off', true);
  delete from crm_sync.daemons as w where w.last_seen_at < clock_timestamp() - interval '10 minutes' and w.id <> p_worker_id;
  update crm_sync.daemons as w
  set last_seen_at = clock_timestamp(), clock_offset = coalesce(p_clock_offset, w.clock_offset)
  where w.id = p_worker_id;
  return found;
end;
$$;
comment on function crm_sync.beat(uuid, interval) is
  'Worker: a sign of life, with how far its clock is ahead of the database''s, if it knows; also forgets daemons that gave none for ten minutes. False: this one was forgotten and must register again.';
