-- The sealed value moves as it is: whoever disconnects needs no key. A daemon that is refreshing the token at this moment comes back
-- with another one, so that is waited for: see store_credentials.
create or replace function crm_sync.schedule_revocation(p_old public.user_integrations) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_old.credentials is null or not p_old.is_refreshable then
    return;
  end if;
  insert into crm_sync.revocations (organization_id, integration_id, provider_id, account_id, credentials_version, sealed_credentials, next_attempt_at)
  select p_old.organization_id, p_old.id, p_old.provider_id, coalesce(l.other_account ->> 'id', p_old.account_id), p_old.credentials_version, p_old.credentials,
    greatest(now(), l.refresh_until)
  from (select) as one
  left join crm_sync.lanes as l on l.organization_id = p_old.organization_id and l.integration_id = p_old.id;
  perform crm_sync.tell_listeners('crm_sync', 'revocations');
end;
$$;
comment on function crm_sync.schedule_revocation(public.user_integrations) is 'Trigger: keeps the credentials of a connection that ends, sealed, until a daemon has revoked them.';
