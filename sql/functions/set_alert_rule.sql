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
  v_fault text;
begin
  if not coalesce(crm_sync.caller_may_manage(p_organization_id), false)
    or p_organization_id is not null and not exists (select from public.organizations as o where o.id = p_organization_id) then
    raise exception using errcode = 'CS021',
      message = case when p_organization_id is null then 'the common rules are not yours to change' else format('there is no organization %s that you may manage', p_organization_id) end,
      hint = 'Members give p_organization_id, the id of their organization, and make rules of its own.';
  end if;
  select * into v_rule
  from crm_sync.alert_rules as r
  where r.name = p_name and (r.organization_id is null or r.organization_id = p_organization_id)
  order by r.organization_id nulls last
  limit 1;
  if v_rule.id is null then
    raise exception using errcode = 'CS070', message = format('there is no rule for alerts that is called %s', coalesce('"' || p_name || '"', 'null')),
      hint = format('There are: %s. A new one is an INSERT into crm_sync.alert_rules.',
        (select string_agg(distinct r.name, ', ' order by r.name) from crm_sync.alert_rules as r where r.organization_id is null or r.organization_id = p_organization_id));
  end if;
  if v_rule.condition = 'budget_nearly_spent' and p_threshold > 100 then
    raise exception using errcode = 'CS071', message = format('the rule %s would make no sense: it would never alarm, as its threshold is in percent', p_name),
      hint = 'Give up to 100; what is never to alarm is switched off with p_is_active => false. The rule in force stays.';
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
  v_fault := case v_constraint
    when 'alert_rules_threshold_is_positive' then 'the threshold must be more than 0'
    when 'alert_rules_failures_are_counted_to_1000' then 'failures are counted to 1000, so the threshold is 1000 at most'
    when 'alert_rules_for_at_least_is_up_to_a_week' then 'p_for_at_least is from 0 up to 7 days'
    when 'alert_rules_severity_is_known' then 'the severity is info, warning or critical'
    when 'alert_rules_of_an_organization_are_of_its_connections' then 'it is about the daemons of all, so there is only the common rule, without p_organization_id'
    else replace(substr(v_constraint, length('alert_rules_') + 1), '_', ' ')
  end;
  raise exception using errcode = 'CS071', message = format('the rule %s would make no sense: %s', p_name, v_fault),
    hint = 'The rule in force stays: select name, threshold, for_at_least, severity, is_active from crm_sync.alert_rules.';
end;
$$;
comment on function crm_sync.set_alert_rule(text, numeric, interval, text, boolean, uuid) is
  'Operator: changes the common rule of this name, or makes or changes that of an organization; what is not given stays. Returns the rule.';
