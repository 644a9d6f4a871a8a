create or replace function crm_sync.allowed_in_flight(p_config jsonb, p_failures integer, p_most integer) returns integer
language sql immutable parallel safe
as $$
  select case when p_failures > 0 then 1 else least(p_most, crm_sync.whole_number(p_config -> 'batches_in_flight', 1, 64)) end
$$;
comment on function crm_sync.allowed_in_flight(jsonb, integer, integer) is
  'Worker: how many batches of a connection may be under way at once: one while its CRM recovers, else the least of what the configs of all and of the provider allow.';
