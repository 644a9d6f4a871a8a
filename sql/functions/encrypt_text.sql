-- In plpgsql, as its expressions are no statements: what an SQL function is given, auto_explain writes into the server's log.
-- pgcrypto may have been installed in any schema, and our functions search none: bind to it where it is.
do $$
declare
  v_schema text;
begin
  select n.nspname into strict v_schema
  from pg_catalog.pg_extension as e
  join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
  where e.extname = 'pgcrypto';
  execute format($f$
    create or replace function crm_sync.encrypt_text(p_text text, p_key text) returns bytea
    language plpgsql volatile strict
    set search_path = pg_catalog, pg_temp
    as $body$ begin return %I.pgp_sym_encrypt(p_text, p_key, 'cipher-algo=aes256, compress-algo=0'); end $body$
  $f$, v_schema);
end;
$$;
comment on function crm_sync.encrypt_text(text, text) is 'Trigger: a text sealed with a passphrase (OpenPGP, AES-256, integrity protected).';
