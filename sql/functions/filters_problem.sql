-- The shape is a CHECK of the table as well; this says in words what is wrong with it. What is too much is refused here: the
-- conditions are evaluated inside the producers' transactions.
create or replace function crm_sync.filters_problem(p_filters jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_group text;
  v_condition jsonb;
  v_value jsonb;
begin
  if jsonb_typeof(p_filters) <> 'object' then
    return 'must be an object like {"all": [{"field": "intent", "op": "in", "value": ["interested"]}]}';
  end if;
  for v_group in select jsonb_object_keys(p_filters) loop
    if v_group not in ('all', 'any') then
      return format('knows the groups "all" and "any", not %s', to_jsonb(left(v_group, 100)));
    end if;
    if jsonb_typeof(p_filters -> v_group) <> 'array' then
      return format('%s must be a list of conditions', to_jsonb(v_group));
    end if;
    if jsonb_array_length(p_filters -> v_group) > 50 then
      return format('%s has %s conditions; 50 are the most', to_jsonb(v_group), jsonb_array_length(p_filters -> v_group));
    end if;
    for v_condition in select jsonb_array_elements(p_filters -> v_group) loop
      if jsonb_typeof(v_condition) <> 'object' then
        return format('a condition is an object with field, op and value, not %s', left(v_condition::text, 300));
      end if;
      if v_condition - array['field', 'op', 'value'] <> '{}' then
        return format('a condition has field, op and value and nothing else, not %s', left(v_condition::text, 300));
      end if;
      if jsonb_typeof(v_condition -> 'field') is distinct from 'string' or length(v_condition ->> 'field') > 100
        or v_condition ->> 'field' !~ '^(intent|sentiment|priority|confidence|requires_human_attention|next_action|email_domain|contact\.[a-z_][a-z0-9_]*)$'
      then
        return format('%s is not a field to filter by: use intent, sentiment, priority, confidence, requires_human_attention, next_action, email_domain or contact.COLUMN', left(coalesce(v_condition -> 'field', 'null')::text, 300));
      end if;
      if coalesce(v_condition ->> 'op', '') not in ('=', '<>', 'in', 'not in', '>=', '<=', 'is blank', 'is not blank') then
        return format('%s is not an operator: use =, <>, in, not in, >=, <=, is blank or is not blank', left(coalesce(v_condition -> 'op', 'null')::text, 300));
      end if;
      v_value := coalesce(v_condition -> 'value', 'null');
      if (case
          when v_condition ->> 'op' in ('in', 'not in') then jsonb_typeof(v_value) <> 'array'
            or v_value @? 'strict $[*] ? (@.type() != "string" && @.type() != "number" && @.type() != "boolean")'
          when v_condition ->> 'op' in ('>=', '<=') then jsonb_typeof(v_value) <> 'number'
          when v_condition ->> 'op' in ('=', '<>') then jsonb_typeof(v_value) not in ('string', 'number', 'boolean')
          else jsonb_typeof(v_value) <> 'null'
        end)
      then
        return format('%s does not go with the value %s', v_condition -> 'op', left(v_value::text, 300));
      end if;
      if length(v_value::text) > 20000 then
        return format('%s compares with more than 20000 letters', v_condition -> 'field');
      end if;
    end loop;
  end loop;
  return null;
end;
$$;
comment on function crm_sync.filters_problem(jsonb) is 'Trigger: what is wrong with the filters of a connection, in plain words; null when nothing is.';
