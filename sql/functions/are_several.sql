create or replace function crm_sync.are_several(p_organization_id uuid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select count(*) = 2
  from (
    select from public.user_integrations as i
    join public.integration_providers as p on p.id = i.provider_id and p.is_active
    where i.organization_id = p_organization_id and i.status <> 'disconnected'
    limit 2
  ) as i
$$;
comment on function crm_sync.are_several(uuid) is 'Trigger: whether an organization has more than one connection that takes classifications.';
