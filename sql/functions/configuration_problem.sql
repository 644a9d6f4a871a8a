create or replace function crm_sync.configuration_problem(p_wanted jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v record;
begin
  -- what may be where, level by level: a path, the keys it may have (null: any), and the type
  if jsonb_typeof(p_wanted) is distinct from 'object' then
    return 'must be an object with version, config, providers, intent_rules, alert_rules, organizations';
  end if;
  if p_wanted -> 'version' is distinct from '1' then
    return 'version: must be 1';
  end if;
  for v in
    with recursive parts as (
      select ''::text as path, 'document' as kind, p_wanted as value
      union all
      select concat_ws('.', nullif(p.path, ''), crm_sync.path_key(e.key)), k.kind, e.value
      from parts as p
      cross join lateral jsonb_each(case when jsonb_typeof(p.value) = 'object' and p.kind not in ('free', 'leaf', 'rule', 'number', 'text', 'boolean') then p.value else '{}' end) as e
      cross join lateral (
        select case
          when p.kind = 'document' and e.key = 'version' then 'leaf'
          when p.kind = 'document' and e.key in ('config', 'providers', 'organizations') then e.key
          when p.kind in ('document', 'organization') and e.key = 'intent_rules' then 'rules'
          when p.kind in ('document', 'organization') and e.key = 'alert_rules' then e.key
          when p.kind = 'alert_rules' then 'alert_rule'
          when p.kind = 'alert_rule' and e.key = 'threshold' then 'number'
          when p.kind = 'alert_rule' and e.key = 'is_active' then 'boolean'
          when p.kind = 'alert_rule' and e.key in ('condition', 'for_at_least', 'clear_after', 'severity', 'remedy') then 'text'
          when p.kind = 'config' then 'leaf'
          when p.kind = 'providers' then 'provider'
          when p.kind = 'provider' and e.key = 'is_active' then 'boolean'
          when p.kind = 'provider' and e.key = 'config' then 'free'
          when p.kind = 'rules' then 'rule'
          when p.kind = 'organizations' then 'organization'
          when p.kind = 'organization' and e.key = 'name' then 'leaf'
          when p.kind = 'organization' and e.key = 'connections' then e.key
          when p.kind = 'connections' then 'connection'
          when p.kind = 'connection' and e.key = 'sync_frequency' then 'text'
          when p.kind = 'connection' and e.key in ('sync_settings', 'field_mappings', 'sync_filters') then 'free'
          else 'unknown'
        end as kind
      ) as k
    )
    select p.path, p.kind, p.value, jsonb_typeof(p.value) as type from parts as p order by p.kind <> 'unknown', p.path
  loop
    if v.kind = 'unknown' then
      return v.path || case when crm_sync.holds_secret(regexp_replace(v.path, '^.*\.', ''), null)
        then ': secrets have no place here; crm-sync connect takes them' else ': there is no such key here' end;
    elsif v.kind = 'boolean' and v.type <> 'boolean' then
      return v.path || ': must be true or false';
    elsif v.kind = 'text' and v.type <> 'string' then
      return v.path || ': must be a text';
    elsif v.kind = 'number' and v.type <> 'number' then
      return v.path || ': must be a number';
    elsif v.path ~ '\.remedy$' and v.kind = 'text' and crm_sync.holds_secret('remedy', v.value) then
      return v.path || ': secrets have no place here';
    elsif v.kind = 'alert_rule' and v.type not in ('object', 'null') then
      return v.path || ': a rule has threshold, for_at_least, clear_after, severity, is_active, remedy and condition, or is null to be removed';
    elsif v.kind = 'rule' and v.type <> 'null' and (v.type <> 'object' or v.value - array['contact_status', 'create_deal'] <> '{}'
      or jsonb_typeof(coalesce(v.value -> 'contact_status', 'null')) not in ('string', 'null') or jsonb_typeof(coalesce(v.value -> 'create_deal', 'true')) <> 'boolean')
    then
      return v.path || ': a rule has contact_status (a text or null) and create_deal (true or false), or is null to be removed';
    elsif v.kind not in ('boolean', 'text', 'number', 'rule', 'alert_rule', 'leaf', 'document') and v.type <> 'object' then
      return v.path || ': must be an object';
    elsif v.kind = 'organization' and regexp_replace(v.path, '^organizations\.', '') !~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$' then
      return v.path || ': organizations are named by their id';
    elsif v.path ~ '^config\.' and crm_sync.holds_secret(substr(v.path, 8), v.value)
      or v.kind = 'free' and v.path ~ '\.(config|sync_settings)$' and exists (select from jsonb_each(v.value) as s where crm_sync.holds_secret(s.key, s.value))
    then
      return v.path || ': secrets have no place here';
    end if;
  end loop;
  return null;
end;
$$;
comment on function crm_sync.configuration_problem(jsonb) is 'Operator: what is wrong with the form of a document of settings, with the path; null when nothing is.';
