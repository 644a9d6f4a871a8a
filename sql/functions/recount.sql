create or replace function crm_sync.recount(p_integration_id bigint) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update crm_sync.lanes as l set recount_at = clock_timestamp() where l.integration_id = p_integration_id
$$;
comment on function crm_sync.recount(bigint) is 'Operator: called by whatever moves many rows of a connection at once: what was counted before is not shown any more.';
