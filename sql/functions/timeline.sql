create or replace function crm_sync.timeline() returns integer
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if pg_catalog.pg_is_in_recovery() then
    return null;
  end if;
  return ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer;
exception when insufficient_privilege or undefined_function or feature_not_supported then
  return null; -- not every server tells
end;
$$;
comment on function crm_sync.timeline() is 'Worker: the history that this server writes on, which a promotion begins anew; null where it writes none or does not tell.';
