-- A transaction that has called NOTIFY takes an instance-wide lock while it commits, so we ring only for a daemon that
-- sleeps. Read committed: the look at `armed` is newer than our own queue rows, and whoever arms later looks again for
-- transactions that were already running. A transaction with an older snapshot cannot see who armed since, so it rings.
create or replace function crm_sync.ring() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed'
    or exists (select from crm_sync.sleepers)
  then
    perform crm_sync.tell_listeners('crm_sync', '');
  end if;
end;
$$;
comment on function crm_sync.ring() is 'Trigger: wakes the daemons, if one of them sleeps.';
