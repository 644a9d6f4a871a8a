create or replace function crm_sync.managed_integrations() returns setof bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select i.id
  from public.user_integrations as i
  cross join (select crm_sync.caller_is_operator() as is_operator, array(select crm_sync.member_organizations()) as organizations) as c
  where c.is_operator or i.organization_id = any (c.organizations)
  order by i.id
$$;
comment on function crm_sync.managed_integrations() is 'Operator: the connections that the caller may manage.';
