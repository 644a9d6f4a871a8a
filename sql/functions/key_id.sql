create or replace function crm_sync.key_id(p_key text) returns text
language sql immutable strict parallel safe
return left(encode(sha256(convert_to('crm_sync key id:' || p_key, 'UTF8')), 'hex'), 8);
comment on function crm_sync.key_id(text) is 'Worker: tells keys apart without telling a key.';
