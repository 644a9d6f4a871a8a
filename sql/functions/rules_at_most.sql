create or replace function crm_sync.rules_at_most() returns integer
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
return 50;
comment on function crm_sync.rules_at_most() is 'Worker: so many rules for alerts of its own an organization may have.';
