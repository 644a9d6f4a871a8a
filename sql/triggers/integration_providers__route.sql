create or replace function crm_sync.integration_providers__route() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform crm_sync.find_route(i.organization_id)
  from (select distinct i.organization_id from public.user_integrations as i where i.provider_id = new.id order by i.organization_id) as i;
  return null;
end;
$$;
comment on function crm_sync.integration_providers__route() is 'Trigger: keeps the routes of all organizations in step with a CRM that is switched on or off.';

create or replace trigger crm_sync_route
after update of is_active on public.integration_providers
for each row execute function crm_sync.integration_providers__route();
comment on trigger crm_sync_route on public.integration_providers is 'Keeps the routes of all organizations in step with a CRM that is switched on or off.';
