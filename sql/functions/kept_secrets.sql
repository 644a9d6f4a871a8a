create or replace function crm_sync.kept_secrets(p_settings jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_object_agg(s.key, s.value), '{}') from jsonb_each(p_settings) as s where crm_sync.holds_secret(s.key, s.value)
$$;
comment on function crm_sync.kept_secrets(jsonb) is 'Operator: those settings that are secrets or hold one, which no document of settings has.';
