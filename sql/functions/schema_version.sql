create or replace function crm_sync.schema_version() returns integer
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select max(substring(f.name from '^migrations/([0-9]{4})_')::integer) from crm_sync.applied_files as f
$$;
comment on function crm_sync.schema_version() is 'Worker: number of the newest migration that was applied.';
