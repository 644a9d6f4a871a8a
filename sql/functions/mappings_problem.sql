create or replace function crm_sync.mappings_problem(p_mappings jsonb) returns text
language plpgsql immutable parallel safe
set search_path = ''
as $$
declare
  v_object text;
  v_rule jsonb;
begin
  if jsonb_typeof(p_mappings) <> 'object' then
    return 'must be an object like {"contact": [{"from": "phone", "to": "mobilephone"}]}';
  end if;
  for v_object in select jsonb_object_keys(p_mappings) loop
    if v_object not in ('contact', 'lead', 'company', 'deal') then
      return format('knows the objects "contact", "lead", "company" and "deal", not %s', to_jsonb(v_object));
    end if;
    if jsonb_typeof(p_mappings -> v_object) <> 'array' then
      return format('%s must be a list of rules', to_jsonb(v_object));
    end if;
    for v_rule in select jsonb_array_elements(p_mappings -> v_object) loop
      if jsonb_typeof(v_rule) <> 'object' or not (v_rule ? 'to') or (v_rule ? 'from') = (v_rule ? 'value') then
        return format('a rule is {"from": our field, "to": the CRM''s field} or {"value": a constant, "to": the CRM''s field}, not %s', v_rule);
      end if;
      if jsonb_typeof(v_rule -> 'to') not in ('string', 'null') or v_rule ->> 'to' = '' then
        return format('"to" is the name of a field of the CRM, or null to leave ours out, not %s', v_rule -> 'to');
      end if;
      if coalesce(v_rule ->> 'policy', 'always') not in ('always', 'when_changed', 'if_blank', 'forward_only') then
        return format('%s is not a policy: use always, when_changed, if_blank or forward_only', v_rule -> 'policy');
      end if;
      if v_object = 'company' and coalesce(v_rule ->> 'policy', 'if_blank') <> 'if_blank' then
        return format('a company is written when it is made and belongs to the people in the CRM after that: its policy is if_blank, not %s', v_rule ->> 'policy');
      end if;
      if v_rule ? 'value' and jsonb_typeof(v_rule -> 'value') in ('object', 'array') then
        return format('a constant is a text, a number, true or false, not %s', v_rule -> 'value');
      end if;
      if v_rule ? 'values' and jsonb_typeof(v_rule -> 'values') <> 'object' then
        return format('"values" maps our values to the CRM''s, not %s', v_rule -> 'values');
      end if;
      if v_rule ? 'values' and exists (select from jsonb_each(v_rule -> 'values') as v where jsonb_typeof(v.value) in ('object', 'array')) then
        return format('"values" maps to texts, numbers, true, false or null, not %s', v_rule -> 'values');
      end if;
    end loop;
  end loop;
  return null;
end;
$$;
comment on function crm_sync.mappings_problem(jsonb) is 'Trigger: what is wrong with the field mappings of a connection, in plain words; null when nothing is.';
