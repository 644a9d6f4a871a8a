-- Before, not after: the lane goes with the connection, and it knows whether a token is being refreshed.
create or replace function crm_sync.user_integrations__delete() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform crm_sync.schedule_revocation(old);
  return old;
end;
$$;
comment on function crm_sync.user_integrations__delete() is 'Trigger: has the credentials of a connection that is deleted, be it with its organization, revoked at the CRM.';

create or replace trigger crm_sync_delete
before delete on public.user_integrations
for each row when (old.credentials is not null)
execute function crm_sync.user_integrations__delete();
comment on trigger crm_sync_delete on public.user_integrations is 'Has the credentials of a connection that is deleted revoked at the CRM.';
