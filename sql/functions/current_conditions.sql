create or replace function crm_sync.current_conditions()
returns table (
  organization_id uuid, integration_id bigint, provider text, rule text, condition text, subject text, severity text,
  value numeric, threshold numeric, unit text, is_raised boolean, words text, remedy text, inhibited_by text
)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  with explained as materialized (select i.condition, i.integration_id, i.rule from crm_sync.inhibitions() as i)
  select m.organization_id, m.integration_id, m.provider, m.rule, m.condition, m.subject, m.severity, m.value, m.threshold, m.unit, m.is_raised,
    m.words, case when m.is_raised then m.remedy end, case when m.is_raised then (
      select min(e.rule) from explained as e where e.condition = m.condition and (e.integration_id is null or e.integration_id = m.integration_id)
    ) end
  -- of no organization: whoever may see that sees all
  from crm_sync.measure_conditions(case when crm_sync.caller_may_see(null) is not true then array(select crm_sync.member_organizations()) end) as m;
end;
$$;
comment on function crm_sync.current_conditions() is 'Reader: what the view of conditions is made of: every rule with everything of the caller''s that it is about, measured now.';
