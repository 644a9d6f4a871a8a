-- Compared are words without the white space around them and without regard to case, intents as the rules know them, and
-- numbers as numbers: 0.80 is 0.8, also where the host application keeps it as text. Nothing and an empty text are the same.
create or replace function crm_sync.filter_reason(p_filters jsonb, p_facts jsonb) returns text
language sql immutable parallel safe
as $$
  with conditions as (
    select g.name as group_name, c.place,
      left(format('%s %s%s', c.condition ->> 'field', c.condition ->> 'op', ' ' || (c.condition -> 'value')::text), 200) as words,
      coalesce(case
        when c.condition ->> 'op' in ('=', 'in') then m.is_member
        when c.condition ->> 'op' in ('<>', 'not in') then not m.is_member
        when c.condition ->> 'op' = '>=' then f.number >= crm_sync.filter_number(c.condition -> 'value')
        when c.condition ->> 'op' = '<=' then f.number <= crm_sync.filter_number(c.condition -> 'value')
        when c.condition ->> 'op' = 'is blank' then f.word = ''
        when c.condition ->> 'op' = 'is not blank' then f.word <> ''
      end, false) as is_met
    from (values ('all'), ('any')) as g (name)
    cross join lateral jsonb_array_elements(p_filters -> g.name) with ordinality as c (condition, place)
    cross join lateral (select p_facts #> string_to_array(c.condition ->> 'field', '.') as value) as x
    cross join lateral (
      select coalesce(lower(crm_sync.trim_blanks(x.value #>> '{}')), '') as word, crm_sync.filter_number(x.value) as number
    ) as f
    cross join lateral (
      select exists (
        select
        from jsonb_array_elements(case when jsonb_typeof(c.condition -> 'value') = 'array' then c.condition -> 'value' else jsonb_build_array(c.condition -> 'value') end) as v (value)
        where f.word = case when c.condition ->> 'field' = 'intent' then crm_sync.normalize_intent(v.value #>> '{}') else lower(crm_sync.trim_blanks(v.value #>> '{}')) end
          or f.number = crm_sync.filter_number(v.value)
      ) as is_member
    ) as m
  )
  select 'filtered out: ' || case
    when bool_or(not is_met) filter (where group_name = 'all')
      then 'not ' || (array_agg(words order by place) filter (where group_name = 'all' and not is_met))[1]
    else 'none of ' || left(string_agg(words, ', ' order by place) filter (where group_name = 'any'), 1000)
  end
  from conditions
  having bool_or(not is_met) filter (where group_name = 'all')
    or not coalesce(bool_or(is_met) filter (where group_name = 'any'), true)
$$;
comment on function crm_sync.filter_reason(jsonb, jsonb) is 'Trigger: why the filters of a connection keep these facts out, in plain words; null when they let them through.';
