-- A token bucket as one timestamp: calls are spaced evenly at 92 % of the limit, with a burst of 5 % of it, so that no
-- window of any position holds more than the CRM allows. A wait is reserved when it is granted: nobody has to come back.
create or replace function crm_sync.spend_budget(
  p_integration_id bigint, p_name text, p_calls integer default 1, p_max_wait interval default '5 seconds'
)
returns table (granted boolean, wait_seconds double precision)
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_calls double precision;
  v_seconds double precision;
  v_organization_id uuid;
  v_step interval;
  v_burst interval;
  v_at timestamptz;
  v_wait interval;
begin
  perform pg_catalog.set_config('synchronous_commit', 'off', true); -- the price of a crash is a few calls
  select i.organization_id, (p.config -> 'limits' -> p_name ->> 'calls')::double precision, (p.config -> 'limits' -> p_name ->> 'seconds')::double precision
  into v_organization_id, v_calls, v_seconds
  from public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id
  where i.id = p_integration_id;
  if v_calls is null or v_calls <= 0 or v_seconds is null then
    return query select true, 0::double precision; -- the CRM has no such limit
    return;
  end if;
  insert into crm_sync.budgets (organization_id, integration_id, name)
  values (v_organization_id, p_integration_id, p_name)
  on conflict do nothing;
  select b.theoretical_at into v_at
  from crm_sync.budgets as b
  where b.organization_id = v_organization_id and b.integration_id = p_integration_id and b.name = p_name
  for no key update;
  v_now := clock_timestamp();
  v_step := make_interval(secs => v_seconds / (0.92 * v_calls));
  v_burst := v_step * greatest(1, floor(0.05 * v_calls));
  v_at := greatest(v_at, v_now) + v_step * p_calls;
  v_wait := greatest(v_at - v_burst - v_now, interval '0');
  if v_wait > p_max_wait then
    return query select false, extract(epoch from v_wait)::double precision;
    return;
  end if;
  v_at := greatest(v_at, v_now + v_wait + v_step * p_calls); -- calls that are made all at once need room after them as well
  update crm_sync.budgets as b
  set theoretical_at = v_at, spent = b.spent + p_calls,
    spent_today = case when b.today = (v_now at time zone 'UTC')::date then b.spent_today else 0 end + p_calls,
    today = (v_now at time zone 'UTC')::date
  where b.organization_id = v_organization_id and b.integration_id = p_integration_id and b.name = p_name;
  return query select true, extract(epoch from v_wait)::double precision;
end;
$$;
comment on function crm_sync.spend_budget(bigint, text, integer, interval) is
  'Worker: takes calls from a rate limit, for all daemons together: granted after so many seconds, or refused because they are more than the given wait.';
