create or replace function crm_sync.current_conditions()
returns table (
  organization_id uuid, integration_id bigint, provider text, rule text, condition text, subject text, severity text,
  value numeric, threshold numeric, unit text, is_raised boolean, words text, remedy text
)
language sql stable
security definer
set search_path = ''
as $$
  select m.organization_id, m.integration_id, m.provider, m.rule, m.condition, m.subject, m.severity, m.value, m.threshold, m.unit, m.is_raised,
    m.words, case when m.is_raised then m.remedy end
  -- of no organization: whoever may see that sees all
  from crm_sync.measure_conditions(case when crm_sync.caller_may_see(null) is not true then array(select crm_sync.member_organizations()) end) as m
$$;
comment on function crm_sync.current_conditions() is 'Reader: what the view of conditions is made of: every rule with everything of the caller''s that it is about, measured now.';
