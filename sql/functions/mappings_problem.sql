-- Whatever a member may save is composed for each contact of each batch, so what is too much to compose is refused here.
create or replace function crm_sync.mappings_problem(p_mappings jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_object text;
  v_rule jsonb;
  v_shown text;
  v_targets text[];
begin
  if jsonb_typeof(p_mappings) <> 'object' then
    return 'must be an object like {"contact": [{"from": "phone", "to": "mobilephone"}]}';
  end if;
  for v_object in select jsonb_object_keys(p_mappings) loop
    if v_object not in ('contact', 'lead', 'company', 'deal') then
      return format('knows the objects "contact", "lead", "company" and "deal", not %s', to_jsonb(left(v_object, 100)));
    end if;
    if jsonb_typeof(p_mappings -> v_object) <> 'array' then
      return format('%s must be a list of rules', to_jsonb(v_object));
    end if;
    if jsonb_array_length(p_mappings -> v_object) > 500 then
      return format('%s has %s rules; 500 are the most', to_jsonb(v_object), jsonb_array_length(p_mappings -> v_object));
    end if;
    v_targets := '{}';
    for v_rule in select jsonb_array_elements(p_mappings -> v_object) loop
      v_shown := left(v_rule::text, 300);
      if jsonb_typeof(v_rule) <> 'object' or not (v_rule ? 'to') or (v_rule ? 'from') = (v_rule ? 'value') then
        return format('a rule is {"from": our field, "to": the CRM''s field} or {"value": a constant, "to": the CRM''s field}, not %s', v_shown);
      end if;
      if v_rule - array['from', 'value', 'to', 'policy', 'values'] <> '{}' then
        return format('a rule has "from" or "value", "to", "policy" and "values", not %s',
          (select string_agg(to_jsonb(left(k, 100))::text, ', ' order by k) from jsonb_object_keys(v_rule - array['from', 'value', 'to', 'policy', 'values']) as k));
      end if;
      if jsonb_typeof(v_rule -> 'to') not in ('string', 'null') or btrim(v_rule ->> 'to') = '' or length(v_rule ->> 'to') > 255 then
        return format('"to" is the name of a field of the CRM, or null to leave ours out, not %s', left((v_rule -> 'to')::text, 300));
      end if;
      if v_rule ->> 'to' = any (v_targets) then
        return format('two rules lead to the %s field %s: which of them would count?', v_object, v_rule -> 'to');
      end if;
      v_targets := array_append(v_targets, v_rule ->> 'to');
      if v_rule ? 'from' and (jsonb_typeof(v_rule -> 'from') <> 'string' or v_rule ->> 'from' = '' or length(v_rule ->> 'from') > 255) then
        return format('"from" is the name of a field of ours, not %s', left((v_rule -> 'from')::text, 300));
      end if;
      if coalesce(v_rule ->> 'policy', 'always') not in ('always', 'when_changed', 'if_blank', 'forward_only') then
        return format('%s is not a policy: use always, when_changed, if_blank or forward_only', left((v_rule -> 'policy')::text, 300));
      end if;
      if v_object = 'company' and coalesce(v_rule ->> 'policy', 'if_blank') <> 'if_blank' then
        return format('a company is written when it is made and belongs to the people in the CRM after that: its policy is if_blank, not %s', v_rule ->> 'policy');
      end if;
      if v_rule ? 'value' and (jsonb_typeof(v_rule -> 'value') not in ('string', 'number', 'boolean') or length(v_rule ->> 'value') > 2000) then
        return format('a constant is a text of at most 2000 letters, a number, true or false, not %s', left((v_rule -> 'value')::text, 300));
      end if;
      if v_rule ? 'values' and (v_rule ? 'value' or jsonb_typeof(v_rule -> 'values') <> 'object') then
        return format('"values" maps our values to the CRM''s, not %s', case when v_rule ? 'value' then 'a constant' else left((v_rule -> 'values')::text, 300) end);
      end if;
      if v_rule ? 'values' and exists (
        select from jsonb_each(v_rule -> 'values') as v where jsonb_typeof(v.value) in ('object', 'array') or length(v.value #>> '{}') > 2000
      ) then
        return format('"values" maps to texts of at most 2000 letters, numbers, true, false or null, not %s', left((v_rule -> 'values')::text, 300));
      end if;
      if v_rule ? 'values' and (select count(*) from jsonb_object_keys(v_rule -> 'values')) > 1000 then
        return format('"values" of the %s field %s maps more than 1000 values', v_object, v_rule -> 'to');
      end if;
    end loop;
  end loop;
  return null;
end;
$$;
comment on function crm_sync.mappings_problem(jsonb) is 'Trigger: what is wrong with the field mappings of a connection, in plain words; null when nothing is.';
