create or replace function crm_sync.set_alert_rule(
  p_name text, p_threshold numeric default null, p_for_at_least interval default null, p_severity text default null, p_is_active boolean default null,
  p_organization_id uuid default null
) returns crm_sync.alert_rules
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_rule crm_sync.alert_rules;
  v_constraint text;
begin
  if not coalesce(crm_sync.caller_may_manage(p_organization_id), false) then
    raise exception using errcode = 'CS021',
      message = case when p_organization_id is null then 'the common rules are not yours to change' else 'there is no organization of this id that you may manage' end,
      hint = 'Members give p_organization_id, the id of their organization, and make rules of its own.';
  end if;
  select * into v_rule
  from crm_sync.alert_rules as r
  where r.name = p_name and (r.organization_id is null or r.organization_id = p_organization_id)
  order by r.organization_id nulls last
  limit 1;
  if v_rule.id is null then
    raise exception using errcode = 'CS070', message = format('there is no rule for alerts that is called %s', coalesce(p_name, 'null')),
      hint = format('There are: %s. A new one is an INSERT into crm_sync.alert_rules.',
        (select string_agg(distinct r.name, ', ' order by r.name) from crm_sync.alert_rules as r where r.organization_id is null or r.organization_id = p_organization_id));
  end if;
  insert into crm_sync.alert_rules as r (organization_id, name, condition, threshold, for_at_least, clear_after, severity, is_active, remedy)
  values (
    p_organization_id, v_rule.name, v_rule.condition, coalesce(p_threshold, v_rule.threshold), coalesce(p_for_at_least, v_rule.for_at_least),
    v_rule.clear_after, coalesce(p_severity, v_rule.severity), coalesce(p_is_active, v_rule.is_active), v_rule.remedy
  )
  on conflict on constraint alert_rules_name_key do update
  set threshold = excluded.threshold, for_at_least = excluded.for_at_least, severity = excluded.severity, is_active = excluded.is_active
  returning * into v_rule;
  return v_rule;
exception when check_violation then
  get stacked diagnostics v_constraint = constraint_name;
  raise exception using errcode = 'CS071', message = format('the rule %s would make no sense: %s', p_name, replace(substr(v_constraint, length('alert_rules_') + 1), '_', ' ')),
    hint = 'The threshold is in the unit of the condition, the time up to 7 days, the severity info, warning or critical; the rule in force stays.';
end;
$$;
comment on function crm_sync.set_alert_rule(text, numeric, interval, text, boolean, uuid) is
  'Operator: changes the common rule of this name, or makes or changes that of an organization; what is not given stays. Returns the rule.';
