create or replace function crm_sync.filter_reason(p_filters jsonb, p_facts jsonb) returns text
language sql immutable parallel safe
as $$
  with conditions as (
    select
      g.name as group_name,
      format('%s %s %s', c.condition ->> 'field', c.condition ->> 'op', c.condition -> 'value') as words,
      coalesce(case c.condition ->> 'op'
        when '=' then lower(f.fact #>> '{}') = lower(c.condition ->> 'value')
        when '<>' then lower(f.fact #>> '{}') is distinct from lower(c.condition ->> 'value')
        when 'in' then lower(f.fact #>> '{}') in (select lower(v) from jsonb_array_elements_text(c.condition -> 'value') as v)
        when 'not in' then lower(coalesce(f.fact #>> '{}', '')) not in (select lower(v) from jsonb_array_elements_text(c.condition -> 'value') as v)
        when '>=' then jsonb_typeof(f.fact) = 'number' and f.fact >= c.condition -> 'value'
        when '<=' then jsonb_typeof(f.fact) = 'number' and f.fact <= c.condition -> 'value'
        when 'is blank' then coalesce(btrim(f.fact #>> '{}'), '') = ''
        when 'is not blank' then coalesce(btrim(f.fact #>> '{}'), '') <> ''
      end, false) as is_met
    from (values ('all'), ('any')) as g (name)
    cross join lateral jsonb_array_elements(p_filters -> g.name) as c (condition)
    cross join lateral (select p_facts #> string_to_array(c.condition ->> 'field', '.') as fact) as f
  )
  select 'filtered out: ' || case
    when bool_or(not is_met) filter (where group_name = 'all')
      then 'not ' || min(words) filter (where group_name = 'all' and not is_met)
    else 'none of ' || string_agg(words, ', ') filter (where group_name = 'any')
  end
  from conditions
  having bool_or(not is_met) filter (where group_name = 'all')
    or not coalesce(bool_or(is_met) filter (where group_name = 'any'), true)
$$;
comment on function crm_sync.filter_reason(jsonb, jsonb) is 'Trigger: why the filters of a connection keep these facts out, in plain words; null when they let them through.';
