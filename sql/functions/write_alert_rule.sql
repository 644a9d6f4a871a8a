create or replace function crm_sync.write_alert_rule(p_rule crm_sync.alert_rules) returns crm_sync.alert_rules
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rule crm_sync.alert_rules;
  v_constraint text;
  v_fault text;
begin
  if p_rule.condition = 'budget_nearly_spent' and p_rule.threshold > 100 then
    raise exception using errcode = 'CS071', message = format('the rule %s would make no sense: it would never alarm, as its threshold is in percent', p_rule.name),
      hint = 'Give up to 100; what is never to alarm is switched off with is_active false. The rule in force stays.';
  end if;
  if p_rule.condition is null or p_rule.threshold is null or p_rule.severity is null or p_rule.remedy is null then
    raise exception using errcode = 'CS071', message = format('the rule %s would make no sense: a new one needs a condition, a threshold, a severity and a remedy', p_rule.name),
      hint = format('Nothing was changed. The conditions there are: %s.', (select string_agg(distinct r.condition, ', ' order by r.condition) from crm_sync.alert_rules as r));
  end if;
  insert into crm_sync.alert_rules as r (organization_id, name, condition, threshold, for_at_least, clear_after, severity, is_active, remedy)
  values (
    p_rule.organization_id, p_rule.name, p_rule.condition, p_rule.threshold, coalesce(p_rule.for_at_least, '0 seconds'), coalesce(p_rule.clear_after, '1 minute'),
    p_rule.severity, coalesce(p_rule.is_active, true), p_rule.remedy
  )
  on conflict on constraint alert_rules_name_key do update
  set condition = excluded.condition, threshold = excluded.threshold, for_at_least = excluded.for_at_least, clear_after = excluded.clear_after,
    severity = excluded.severity, is_active = excluded.is_active, remedy = excluded.remedy
  returning * into v_rule;
  return v_rule;
exception when check_violation then
  get stacked diagnostics v_constraint = constraint_name;
  v_fault := case v_constraint
    when 'alert_rules_name_is_a_word' then 'a name is a word of small letters, digits and underscores'
    when 'alert_rules_condition_is_known' then 'the condition is ' || coalesce('"' || p_rule.condition || '", which is not measured', 'not known')
    when 'alert_rules_threshold_is_positive' then 'the threshold must be more than 0'
    when 'alert_rules_failures_are_counted_to_1000' then 'failures are counted to 1000, so the threshold is 1000 at most'
    when 'alert_rules_for_at_least_is_up_to_a_week' then 'for_at_least is from 0 up to 7 days'
    when 'alert_rules_clear_after_is_up_to_a_day' then 'clear_after is from 0 up to 1 day'
    when 'alert_rules_severity_is_known' then 'the severity is info, warning or critical'
    when 'alert_rules_remedy_is_not_blank' then 'the remedy says what to do, in up to 1000 characters'
    when 'alert_rules_of_an_organization_are_of_its_connections' then 'it is about the daemons of all, so there is only the common rule, of no organization'
    else replace(substr(v_constraint, length('alert_rules_') + 1), '_', ' ')
  end;
  raise exception using errcode = 'CS071', message = format('the rule %s would make no sense: %s', p_rule.name, v_fault),
    hint = 'The rule in force stays: select name, threshold, for_at_least, severity, is_active from crm_sync.alert_rules.';
end;
$$;
comment on function crm_sync.write_alert_rule(crm_sync.alert_rules) is
  'Operator: writes a rule of an alert, new or in place of the one of its name, for set_alert_rule() and apply_configuration(); says in plain words what would make no sense.';
