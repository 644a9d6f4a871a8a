create or replace function crm_sync.current_xmax() returns text
language sql volatile
set search_path = ''
return pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text;
comment on function crm_sync.current_xmax() is 'Worker: the first transaction id not yet given out; whoever enqueues without seeing us armed has an older one.';
