-- A config is an operator's to change: what makes no sense there must stop neither a claim nor the daemon.
create or replace function crm_sync.whole_number(p_value jsonb, p_least integer, p_most integer) returns integer
language sql immutable parallel safe
return case when jsonb_typeof(p_value) = 'number' then trunc(least(greatest(p_value::numeric, p_least), p_most))::integer end;
comment on function crm_sync.whole_number(jsonb, integer, integer) is
  'Worker: a number of a config as a whole one within bounds; null where it is none, which leaves the matter to the other bounds.';
