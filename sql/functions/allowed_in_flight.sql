create or replace function crm_sync.allowed_in_flight(p_config jsonb, p_failures integer) returns integer
language sql stable
set search_path = ''
as $$
  select case when p_failures > 0 then 1 else least(c.batches_in_flight, crm_sync.whole_number(p_config -> 'batches_in_flight', 1, 64)) end
  from crm_sync.config as c
$$;
comment on function crm_sync.allowed_in_flight(jsonb, integer) is
  'Worker: how many batches of a connection may be under way at once: one while its CRM recovers, else what the configs allow.';
