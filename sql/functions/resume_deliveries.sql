create or replace function crm_sync.resume_deliveries() returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_count integer;
begin
  update crm_sync.webhooks as w set gone_at = null where w.gone_at is not null;
  update crm_sync.deliveries as d
  set given_up_at = null, attempts = 0, next_attempt_at = now(), last_error = null
  where d.id = any (array(
    select x.id from crm_sync.deliveries as x
    where x.given_up_at > now() - interval '3 days' and x.created_at > now() - interval '3 days'
    for no key update skip locked
  ));
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function crm_sync.resume_deliveries() is
  'Operator: sends to a webhook again whose receiver had said that it is gone, with what was given up of the last three days; returns how many messages that are.';
