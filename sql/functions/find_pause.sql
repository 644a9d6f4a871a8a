create or replace function crm_sync.find_pause(p_organization_id uuid, p_integration_id bigint, p_provider_id bigint) returns setof crm_sync.pauses
language sql stable rows 1
set search_path = pg_catalog, pg_temp
as $$
  select p.*
  from unnest(array['everything', 'provider', 'organization', 'integration']) with ordinality as s (scope, place)
  join crm_sync.pauses as p on p.scope = s.scope and p.key = case s.scope
    when 'everything' then ''
    when 'provider' then (select r.name from public.integration_providers as r where r.id = p_provider_id)
    when 'organization' then p_organization_id::text
    else p_integration_id::text
  end
  order by s.place
  limit 1
$$;
comment on function crm_sync.find_pause(uuid, bigint, bigint) is 'Operator: what holds a connection of this organization and CRM up, of several pauses the widest; none where it is not paused.';
