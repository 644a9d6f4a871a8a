create or replace function crm_sync.oauth_provider(p_provider text) returns jsonb
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select p.config || jsonb_build_object('display_name', p.display_name)
  from public.integration_providers as p
  where p.name = p_provider and p.is_active
$$;
comment on function crm_sync.oauth_provider(text) is 'Console: the config and the display_name of a CRM that can be connected; null where there is none.';
