-- Spending is not worth a flush of the log, but the claim that it is a part of is.
create or replace function crm_sync.prepay(p_integration_id bigint, p_costs jsonb) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_commit text := current_setting('synchronous_commit');
  v_is_granted boolean := (select b.granted from crm_sync.spend_budget(p_integration_id, p_costs, '0') as b);
begin
  perform pg_catalog.set_config('synchronous_commit', v_commit, true);
  return v_is_granted;
end;
$$;
comment on function crm_sync.prepay(bigint, jsonb) is 'Worker: takes what a call costs of each rate limit, if there is room for it at once.';
