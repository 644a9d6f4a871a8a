-- Called after every change of what it looks at. The row's lock makes those who change an organization's connections at the same
-- time follow each other, and the second look is newer than the wait. A snapshot that cannot be newer takes the long way.
create or replace function crm_sync.find_route(p_organization_id uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_looks_anew boolean := current_setting('transaction_isolation') = 'read committed';
begin
  if v_looks_anew then
    -- provider before route, as whoever switches a provider on or off does
    perform from public.integration_providers as p
    where p.id in (select i.provider_id from public.user_integrations as i where i.organization_id = p_organization_id)
    order by p.id
    for share;
  end if;
  insert into crm_sync.routes (organization_id)
  select o.id from public.organizations as o where o.id = p_organization_id
  on conflict (organization_id) do update set integration_id = null;

  if v_looks_anew then
    update crm_sync.routes as r
    set integration_id = (
      select min(i.id)
      from public.user_integrations as i
      join public.integration_providers as p on p.id = i.provider_id and p.is_active
      where i.organization_id = p_organization_id and i.status <> 'disconnected'
      having count(*) = 1
        and bool_and(i.sync_frequency = 'realtime' and i.sync_filters = '{}' and i.sync_settings ->> 'auto_sync_contacts' is distinct from 'false')
    )
    where r.organization_id = p_organization_id;
  end if;
end;
$$;
comment on function crm_sync.find_route(uuid) is 'Trigger: finds out whether all classifications of an organization go to one connection, at once and unfiltered.';
