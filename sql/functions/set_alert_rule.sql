create or replace function crm_sync.set_alert_rule(
  p_name text, p_threshold numeric default null, p_for_at_least interval default null, p_severity text default null, p_is_active boolean default null,
  p_organization_id uuid default null
) returns crm_sync.alert_rules
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rule crm_sync.alert_rules;
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
  v_rule.organization_id := p_organization_id;
  v_rule.threshold := coalesce(p_threshold, v_rule.threshold);
  v_rule.for_at_least := coalesce(p_for_at_least, v_rule.for_at_least);
  v_rule.severity := coalesce(p_severity, v_rule.severity);
  v_rule.is_active := coalesce(p_is_active, v_rule.is_active);
  return crm_sync.write_alert_rule(v_rule);
end;
$$;
comment on function crm_sync.set_alert_rule(text, numeric, interval, text, boolean, uuid) is
  'Operator: changes the common rule of this name, or makes or changes that of an organization; what is not given stays. Returns the rule.';
