create or replace function crm_sync.database_identity() returns table (system_identifier text, database_oid oid)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  select d.oid into database_oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database();
  begin
    select c.system_identifier::text into system_identifier from pg_catalog.pg_control_system() as c;
  exception when insufficient_privilege or undefined_function or feature_not_supported then
    system_identifier := ''; -- not every server tells
  end;
  return next;
end;
$$;
comment on function crm_sync.database_identity() is 'Worker: what tells this database from a copy of it: the cluster''s identifier, empty where the server does not tell, and the database''s oid.';
