create or replace function crm_sync.blanked_settings(p_settings jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_object_agg(c.key, case
      when crm_sync.holds_secret(c.key, case when jsonb_typeof(c.value) = 'object' then null else c.value end) then '"[secret]"'
      when jsonb_typeof(c.value) = 'object' then (
        select coalesce(jsonb_object_agg(s.key, case when crm_sync.holds_secret(s.key, s.value) then '"[secret]"' else s.value end), '{}')
        from jsonb_each(c.value) as s
      )
      else c.value
    end)
  from jsonb_each(p_settings) as c
$$;
comment on function crm_sync.blanked_settings(jsonb) is 'Trigger: settings with each secret replaced by "[secret]"; null for null.';
