-- Security definer, because the policy on users would otherwise ask users again, without end.
create or replace function crm_sync.member_organizations() returns setof uuid
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select u.organization_id
  from public.users as u
  where u.id = (select auth.uid())
$$;
comment on function crm_sync.member_organizations() is 'Reader: the organizations of the user who is asking (auth.uid()).';
