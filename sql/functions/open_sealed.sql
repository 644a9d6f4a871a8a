create or replace function crm_sync.open_sealed(p_organization_id uuid, p_integration_id bigint, p_sealed text) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text := (select k.key from crm_sync.session_keys() as k where k.key_id = split_part(p_sealed, ':', 3) limit 1);
  v_document jsonb;
begin
  if p_sealed not like 'sealed:1:%' then
    raise exception using errcode = 'CS005', message = 'the sealed credentials are damaged',
      hint = 'They were changed after they had been sealed. Connect the CRM again.';
  end if;
  if v_key is null then
    raise exception using errcode = 'CS004', message = 'these credentials were sealed with another encryption key',
      detail = format('Sealed with key %s, this session has %s.', split_part(p_sealed, ':', 3),
        (select string_agg(k.key_id, ', ' order by k.key_id) from crm_sync.session_keys() as k)),
      hint = 'Start with the key the credentials were sealed with (while keys are rotated: with both), or connect the CRM again.';
  end if;
  begin
    v_document := crm_sync.decrypt_text(decode(split_part(p_sealed, ':', 4), 'base64'), v_key)::jsonb;
  exception when others then
    raise exception using errcode = 'CS005', message = 'the sealed credentials are damaged',
      hint = 'They were changed after they had been sealed. Connect the CRM again.';
  end;
  if v_document ->> 'organization_id' <> p_organization_id::text or v_document ->> 'integration_id' <> p_integration_id::text then
    raise exception using errcode = 'CS005', message = 'the sealed credentials belong to another connection',
      hint = 'A sealed value opens only on the row it was sealed for. Connect the CRM again.';
  end if;
  return v_document -> 'credentials';
end;
$$;
comment on function crm_sync.open_sealed(uuid, bigint, text) is 'Worker: the plaintext of sealed credentials; raises CS004 for another key, CS005 for a changed or transplanted value.';
