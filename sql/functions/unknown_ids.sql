create or replace function crm_sync.unknown_ids(p_integration_id bigint default null, p_organization_id uuid default null, p_contact_id uuid default null) returns text
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  -- the same answer for what does not exist and for what is not yours
  with seen as (
    select
      (select i.organization_id from public.user_integrations as i where i.id = p_integration_id and crm_sync.caller_may_see(i.organization_id)) as of_integration,
      (select o.id from public.organizations as o where o.id = p_organization_id and crm_sync.caller_may_see(o.id)) as organization,
      (select k.organization_id from public.contacts as k where k.id = p_contact_id and crm_sync.caller_may_see(k.organization_id) limit 1) as of_contact
  )
  select case
    when p_integration_id is not null and s.of_integration is null then format('there is no connection %s that you may see', p_integration_id)
    when p_organization_id is not null and s.organization is null then format('there is no organization %s that you may see', p_organization_id)
    when p_contact_id is not null and s.of_contact is null then format('there is no contact %s that you may see', p_contact_id)
    when s.of_integration <> s.organization then format('connection %s is not of organization %s', p_integration_id, p_organization_id)
    when s.of_contact <> s.of_integration then format('contact %s is not of the organization of connection %s', p_contact_id, p_integration_id)
  end
  from seen as s
$$;
comment on function crm_sync.unknown_ids(bigint, uuid, uuid) is
  'Reader: why nothing can be found by these ids: which of them does not exist or is not the caller''s to see; null when it is not for that.';
