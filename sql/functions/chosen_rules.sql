-- Without a SET clause: part of the query that asks.
create or replace function crm_sync.chosen_rules(p_defaults jsonb, p_own jsonb) returns table (rule jsonb, is_own boolean)
language sql immutable parallel safe
as $$
  select d.rule, false
  from jsonb_array_elements(p_defaults) as d (rule)
  where not exists (
    select from jsonb_array_elements(p_own) as o (rule) where o.rule ->> 'from' = d.rule ->> 'from' or o.rule ->> 'to' = d.rule ->> 'to'
  )
  union all
  select o.rule, true from jsonb_array_elements(p_own) as o (rule) where o.rule ->> 'to' is not null
$$;
comment on function crm_sync.chosen_rules(jsonb, jsonb) is
  'Worker: a provider''s default rules as far as a connection has not put its own in their place, and its own.';
