create or replace function crm_sync.seal_credentials(p_organization_id uuid, p_integration_id bigint, p_plaintext text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text := crm_sync.session_key();
  v_credentials jsonb;
begin
  begin
    v_credentials := p_plaintext::jsonb;
  exception when others then
    v_credentials := null; -- the parser's own message would repeat the secret
  end;
  if jsonb_typeof(v_credentials) is distinct from 'object' or coalesce(v_credentials ->> 'access_token', '') = '' then
    raise exception using errcode = 'CS003', message = 'credentials must be a JSON object with an access_token',
      hint = 'For example {"access_token": "…", "refresh_token": "…", "expires_at": 1795000000}; the value is not shown here on purpose.';
  end if;
  return 'sealed:1:' || crm_sync.key_id(v_key) || ':' || translate(encode(crm_sync.encrypt_text(
    jsonb_build_object('organization_id', p_organization_id, 'integration_id', p_integration_id, 'credentials', v_credentials)::text, v_key
  ), 'base64'), E'\n', '');
end;
$$;
comment on function crm_sync.seal_credentials(uuid, bigint, text) is 'Trigger: plaintext credentials sealed for one connection; raises CS003 for what is not a JSON object with a token.';
