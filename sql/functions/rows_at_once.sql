create or replace function crm_sync.rows_at_once() returns integer
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
return 5000;
comment on function crm_sync.rows_at_once() is 'Operator: so many rows one call of an action changes at most, that no connection stands still for more than a moment; call it again for the rest.';
