create or replace function crm_sync.is_same_sealed(p_organization_id uuid, p_integration_id bigint, p_sealed text, p_credentials jsonb) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return p_sealed is not null and crm_sync.open_sealed(p_organization_id, p_integration_id, p_sealed) = p_credentials;
exception when sqlstate 'CS004' or sqlstate 'CS005' then
  return false; -- what does not open may be replaced by anything
end;
$$;
comment on function crm_sync.is_same_sealed(uuid, bigint, text, jsonb) is 'Trigger: whether a sealed value holds these credentials, so that they were only sealed anew.';
