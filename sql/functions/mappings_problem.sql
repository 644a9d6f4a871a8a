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
    if v_object not in ('contact', 'deal') then
      return format('knows the objects "contact" and "deal", not %s', to_jsonb(v_object));
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
      if v_rule ? 'values' and jsonb_typeof(v_rule -> 'values') <> 'object' then
        return format('"values" maps our values to the CRM''s, not %s', v_rule -> 'values');
      end if;
    end loop;
  end loop;
  return null;
end;
$$;
comment on function crm_sync.mappings_problem(jsonb) is 'Trigger: what is wrong with the field mappings of a connection, in plain words; null when nothing is.';
