-- In plpgsql for the reason of encrypt_text.
do $$
declare
  v_schema text;
begin
  select n.nspname into strict v_schema
  from pg_catalog.pg_extension as e
  join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
  where e.extname = 'pgcrypto';
  execute format($f$
    create or replace function crm_sync.decrypt_text(p_sealed bytea, p_key text) returns text
    language plpgsql immutable strict
    set search_path = pg_catalog, pg_temp
    as $body$ begin return %I.pgp_sym_decrypt(p_sealed, p_key); end $body$
  $f$, v_schema);
end;
$$;
comment on function crm_sync.decrypt_text(bytea, text) is 'Worker: opens what encrypt_text sealed; raises 39000 for another key or a changed byte.';
