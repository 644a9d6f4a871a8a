-- In plpgsql for the reason of encrypt_text: the key is its parameter.
create or replace function crm_sync.key_id(p_key text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return left(encode(sha256(convert_to('crm_sync key id:' || p_key, 'UTF8')), 'hex'), 8);
end;
$$;
comment on function crm_sync.key_id(text) is 'Worker: tells keys apart without telling a key.';
