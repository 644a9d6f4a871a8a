-- A connection whose share of the day is spent would stay alone until midnight, although there is room now.
create or replace function crm_sync.integration_providers__limits() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  with parked as (
    select l.organization_id, l.integration_id
    from public.user_integrations as i
    join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
    where i.provider_id = new.id and l.parked_kind = 'rate_limited'
    order by l.integration_id
    for no key update of l
  )
  update crm_sync.lanes as l
  set parked_until = null, parked_kind = null, parked_reason = null
  from parked as p
  where l.organization_id = p.organization_id and l.integration_id = p.integration_id and l.parked_kind = 'rate_limited';
  if found then
    perform crm_sync.ring();
  end if;
  return null;
end;
$$;
comment on function crm_sync.integration_providers__limits() is
  'Trigger: lets connections that wait for room in a rate limit look again when the limits of their CRM were changed.';

create or replace trigger crm_sync_limits
after update of config on public.integration_providers
for each row when (old.config -> 'limits' is distinct from new.config -> 'limits')
execute function crm_sync.integration_providers__limits();
comment on trigger crm_sync_limits on public.integration_providers is 'Lets connections that wait for room in a rate limit look again.';
