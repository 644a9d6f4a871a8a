create or replace function crm_sync.register_provider(
  p_name text, p_display_name text, p_description text, p_logo_url text, p_auth_type text, p_config jsonb
) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into public.integration_providers as p (name, display_name, description, logo_url, auth_type, config, shipped_config)
  values (p_name, p_display_name, p_description, p_logo_url, p_auth_type, p_config, p_config)
  on conflict (name) do update
  set display_name = excluded.display_name, description = excluded.description, logo_url = excluded.logo_url, auth_type = excluded.auth_type,
    shipped_config = excluded.shipped_config,
    -- what an operator changed since the last version was shipped stays as it is
    config = excluded.config || coalesce((
      select jsonb_object_agg(k.key, k.value)
      from jsonb_each(p.config) as k
      where k.value is distinct from p.shipped_config -> k.key
    ), '{}')
$$;
comment on function crm_sync.register_provider(text, text, text, text, text, jsonb) is 'Operator: makes a CRM known, or updates it without overwriting what an operator changed in its config.';
