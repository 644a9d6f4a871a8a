create or replace function crm_sync.filters_problem(p_filters jsonb) returns text
language plpgsql immutable parallel safe
set search_path = ''
as $$
declare
  v_group text;
  v_condition jsonb;
begin
  if jsonb_typeof(p_filters) <> 'object' then
    return 'must be an object like {"all": [{"field": "intent", "op": "in", "value": ["interested"]}]}';
  end if;
  for v_group in select jsonb_object_keys(p_filters) loop
    if v_group not in ('all', 'any') then
      return format('knows the groups "all" and "any", not %s', to_jsonb(v_group));
    end if;
    if jsonb_typeof(p_filters -> v_group) <> 'array' then
      return format('%s must be a list of conditions', to_jsonb(v_group));
    end if;
    for v_condition in select jsonb_array_elements(p_filters -> v_group) loop
      if jsonb_typeof(v_condition) <> 'object' then
        return format('a condition is an object with field, op and value, not %s', v_condition);
      end if;
      if coalesce(v_condition ->> 'field', '') !~ '^(intent|sentiment|priority|confidence|requires_human_attention|next_action|email_domain|contact\.[a-z_][a-z0-9_]*)$' then
        return format('%s is not a field to filter by: use intent, sentiment, priority, confidence, requires_human_attention, next_action, email_domain or contact.COLUMN', coalesce(v_condition -> 'field', 'null'));
      end if;
      if coalesce(v_condition ->> 'op', '') not in ('=', '<>', 'in', 'not in', '>=', '<=', 'is blank', 'is not blank') then
        return format('%s is not an operator: use =, <>, in, not in, >=, <=, is blank or is not blank', coalesce(v_condition -> 'op', 'null'));
      end if;
      if (v_condition ->> 'op' in ('in', 'not in') and coalesce(jsonb_typeof(v_condition -> 'value'), '') <> 'array')
        or (v_condition ->> 'op' in ('>=', '<=') and coalesce(jsonb_typeof(v_condition -> 'value'), '') <> 'number')
        or (v_condition ->> 'op' in ('=', '<>') and coalesce(jsonb_typeof(v_condition -> 'value'), '') not in ('string', 'number', 'boolean'))
      then
        return format('%s does not go with the value %s', v_condition -> 'op', coalesce(v_condition -> 'value', 'null'));
      end if;
    end loop;
  end loop;
  return null;
end;
$$;
comment on function crm_sync.filters_problem(jsonb) is 'Trigger: what is wrong with the filters of a connection, in plain words; null when nothing is.';
