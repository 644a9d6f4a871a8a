create or replace function crm_sync.alert_rule_settings(p_rule crm_sync.alert_rules) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  -- a rule that is called as its condition need not name it
  select jsonb_object_agg(s.key, s.value)
  from jsonb_each(to_jsonb(p_rule) - array['id', 'organization_id', 'name'] - case when p_rule.condition = p_rule.name then array['condition'] else '{}' end) as s
  where not crm_sync.holds_secret(s.key, s.value)
$$;
comment on function crm_sync.alert_rule_settings(crm_sync.alert_rules) is 'Reader: a rule of an alert as a document of settings has it.';
