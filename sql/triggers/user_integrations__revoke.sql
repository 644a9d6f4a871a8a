create or replace function crm_sync.user_integrations__revoke() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform crm_sync.schedule_revocation(old);
  return null;
end;
$$;
comment on function crm_sync.user_integrations__revoke() is 'Trigger: has credentials that were wiped revoked at the CRM.';

create or replace trigger crm_sync_revoke
after update of status, credentials on public.user_integrations
for each row when (old.credentials is not null and new.credentials is null)
execute function crm_sync.user_integrations__revoke();
comment on trigger crm_sync_revoke on public.user_integrations is 'Has credentials that were wiped revoked at the CRM.';
