create or replace function crm_sync.filter_number(p_value jsonb) returns numeric
language sql immutable parallel safe
as $$
  select case
    when jsonb_typeof(p_value) = 'number' then (p_value #>> '{}')::numeric
    -- short enough for any number: a producer's text must not fail here
    when jsonb_typeof(p_value) = 'string' and crm_sync.trim_blanks(p_value #>> '{}') ~ '^[-+]?[0-9]{1,30}(\.[0-9]{1,30})?$' then (crm_sync.trim_blanks(p_value #>> '{}'))::numeric
  end
$$;
comment on function crm_sync.filter_number(jsonb) is 'Trigger: a number, also one that the host application keeps as text; null for anything else.';
