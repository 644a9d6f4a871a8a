create or replace function crm_sync.older_transactions_run(p_xmax text) returns boolean
language sql volatile
set search_path = pg_catalog, pg_temp
return pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) < p_xmax::xid8;
comment on function crm_sync.older_transactions_run(text) is 'Worker: whether a transaction that may not have seen us armed is still running.';
