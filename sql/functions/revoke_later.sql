create or replace function crm_sync.revoke_later(
  p_integration public.user_integrations, p_integration_id bigint, p_seen_version bigint
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update crm_sync.revocations as r
  set sealed_credentials = crm_sync.seal_credentials(r.organization_id, r.integration_id, current_setting('crm_sync.letter')), next_attempt_at = now()
  where r.integration_id = p_integration_id and r.credentials_version = p_seen_version;
  if not found and p_integration.id is not null and current_setting('crm_sync.letter')::jsonb ->> 'refresh_token' <> '' then
    insert into crm_sync.revocations (organization_id, integration_id, provider_id, account_id, credentials_version, sealed_credentials)
    values (p_integration.organization_id, p_integration.id, p_integration.provider_id, p_integration.account_id, p_seen_version,
      crm_sync.seal_credentials(p_integration.organization_id, p_integration.id, current_setting('crm_sync.letter')));
  end if;
  perform crm_sync.tell_listeners('crm_sync', 'revocations');
end;
$$;
comment on function crm_sync.revoke_later(public.user_integrations, bigint, bigint) is
  'Worker: has the tokens in the letter revoked that a CRM gave for a connection which had been disconnected or deleted meanwhile.';
