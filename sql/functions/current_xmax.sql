-- Its own, because a snapshot's xmax is only one past the newest transaction that has ended: of those that are running, some are newer.
create or replace function crm_sync.current_xmax() returns text
language sql volatile
set search_path = pg_catalog, pg_temp
return pg_catalog.pg_current_xact_id()::text;
comment on function crm_sync.current_xmax() is 'Worker: a transaction id that is newer than all others; whoever enqueues without seeing us armed has an older one.';
