-- Two kinds of limits. One of less than a day is a token bucket as one timestamp: calls are spaced evenly at 92 % of the
-- limit (less in a window of a second, where calls that are late by 170 ms would meet those of the next), with a burst of 5 % of it (none in a window so short that calls bunch up on their way), so that no window of any
-- position holds more than the CRM allows; a wait is reserved when it is granted: nobody has to come back. A day's limit is a
-- count that ends at midnight UTC, of which we leave a share to other apps and to people; where the CRM tells what all of
-- them have used, that counts as well. A call that costs of several limits gets all of them or takes none.
create or replace function crm_sync.spend_budget(
  p_integration_id bigint, p_costs jsonb, p_max_wait interval default '5 seconds', p_batch_id bigint default null, p_observed jsonb default null
)
returns table (granted boolean, wait_seconds double precision, limit_name text, is_lost boolean, is_paused boolean)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz;
  v_today date;
  v_organization_id uuid;
  v_is_paused boolean;
  v_limits jsonb;
  v_budgets crm_sync.budgets[];
  v_verdict record;
  v_wait interval;
  v_slowest text;
begin
  perform pg_catalog.set_config('synchronous_commit', 'off', true); -- the price of a crash is a few calls
  if p_batch_id is not null and not exists (select from crm_sync.batches as b where b.id = p_batch_id) then
    return query select false, 0::double precision, null::text, true, false; -- somebody else works on these rows now
    return;
  end if;
  select i.organization_id, coalesce(l.of_costs, '{}'), n.paused_at is not null or exists (select from crm_sync.wide_pauses(i.organization_id, p.name))
    -- its lane may be held by somebody, and learns of it later
    or exists (select from crm_sync.pauses as h where h.scope = 'integration' and h.key = i.id::text)
  into v_organization_id, v_limits, v_is_paused
  from public.user_integrations as i
  left join crm_sync.lanes as n on n.organization_id = i.organization_id and n.integration_id = i.id
  join public.integration_providers as p on p.id = i.provider_id
  cross join lateral (
    select jsonb_object_agg(c.key, d.limit_) as of_costs
    from jsonb_each(p_costs) as c
    cross join lateral (select p.config -> 'limits' -> c.key as limit_) as d
    where (d.limit_ ->> 'calls')::double precision > 0 and (d.limit_ ->> 'seconds')::double precision > 0
  ) as l
  where i.id = p_integration_id
    and (current_setting('role', true) is distinct from 'crm_sync_console' or crm_sync.caller_may_manage(i.organization_id));
  if v_is_paused then
    -- also for whoever holds a batch, or knows of no pauses: it hands back what it has not sent
    return query select false, 0::double precision, null::text, true, true;
    return;
  end if;
  if v_organization_id is null or v_limits = '{}' then
    return query select true, 0::double precision, null::text, false, false; -- the CRM has no such limits
    return;
  end if;

  insert into crm_sync.budgets (organization_id, integration_id, name)
  select v_organization_id, p_integration_id, l.key from jsonb_object_keys(v_limits) as l (key) order by l.key
  on conflict do nothing;
  select array_agg(b order by b.name) into v_budgets
  from (
    select *
    from crm_sync.budgets as b
    where b.organization_id = v_organization_id and b.integration_id = p_integration_id and b.name in (select jsonb_object_keys(v_limits))
    order by b.name -- one lock order for all spenders
    for no key update
  ) as b;
  v_now := clock_timestamp();
  v_today := (v_now at time zone 'UTC')::date;

  if p_observed is not null then
    -- of what several daemons have heard, the newest counts
    with heard as (
      select b.organization_id, b.integration_id, b.name, (o.value ->> 'used')::bigint as used, (o.value ->> 'maximum')::bigint as maximum,
        v_now - make_interval(secs => coalesce((o.value ->> 'age')::double precision, 0)) as heard_at
      from unnest(v_budgets) as b
      join jsonb_each(p_observed) as o on o.key = b.name
    )
    update crm_sync.budgets as b
    set observed_used = h.used, observed_maximum = h.maximum, observed_at = h.heard_at, spent_since = 0
    from heard as h
    where b.organization_id = h.organization_id and b.integration_id = h.integration_id and b.name = h.name
      and (b.observed_at is null or b.observed_at < h.heard_at);
    select array_agg(b order by b.name) into v_budgets
    from crm_sync.budgets as b
    where b.organization_id = v_organization_id and b.integration_id = p_integration_id and b.name in (select jsonb_object_keys(v_limits));
  end if;

  with asked as (
    select b.*, c.cost, l.calls, l.seconds, l.share, s.step, s.step * greatest(1, floor(case when l.seconds < 5 then 0 else 0.05 end * l.calls)) as burst
    from unnest(v_budgets) as b
    cross join lateral (
      select (v_limits -> b.name ->> 'calls')::double precision as calls, (v_limits -> b.name ->> 'seconds')::double precision as seconds,
        coalesce((v_limits -> b.name ->> 'share')::double precision, 0.8) as share
    ) as l
    cross join lateral (select greatest((p_costs ->> b.name)::bigint, 0) as cost) as c
    cross join lateral (select make_interval(secs => greatest(l.seconds / 0.92, l.seconds + 0.17) / l.calls) as step) as s
  )
  select a.name, w.wait, case when a.seconds < 86400 then w.wait > p_max_wait else w.wait > interval '0' end as is_refused into v_verdict
  from asked as a
  cross join lateral (
    select case
      when a.seconds < 86400 then greatest(greatest(a.theoretical_at, v_now) + a.step * a.cost - a.burst - v_now, interval '0')
      when case when a.today = v_today then a.spent_today else 0 end + a.cost > a.share * a.calls
        then ((v_today + 1)::timestamp at time zone 'UTC') - v_now
      -- a window that rolls: in a while the CRM will have forgotten some of it
      when a.observed_at > v_now - interval '1 hour' and a.observed_used + a.spent_since + a.cost > a.share * a.observed_maximum
        then interval '900 seconds'
      else interval '0'
    end as wait
  ) as w
  order by is_refused desc, w.wait desc, a.name
  limit 1;
  v_wait := v_verdict.wait;
  v_slowest := case when v_wait > interval '0' then v_verdict.name end;
  if v_verdict.is_refused then
    return query select false, extract(epoch from v_wait)::double precision, v_slowest, false, false;
    return;
  end if;

  update crm_sync.budgets as b
  set theoretical_at = case when a.seconds < 86400
      -- calls that are made all at once need room after them as well
      then greatest(b.theoretical_at, v_now + v_wait) + make_interval(secs => a.cost * greatest(a.seconds / 0.92, a.seconds + 0.17) / a.calls)
      else b.theoretical_at
    end,
    spent = b.spent + a.cost,
    waits = b.waits + case when a.name = v_slowest then 1 else 0 end,
    waited = b.waited + case when a.name = v_slowest then v_wait else interval '0' end,
    spent_today = case when b.today = v_today then b.spent_today else 0 end + a.cost,
    today = v_today,
    spent_since = b.spent_since + a.cost
  from (
    select l.key as name, greatest((p_costs ->> l.key)::bigint, 0) as cost, (l.value ->> 'calls')::double precision as calls,
      (l.value ->> 'seconds')::double precision as seconds
    from jsonb_each(v_limits) as l
  ) as a
  where b.organization_id = v_organization_id and b.integration_id = p_integration_id and b.name = a.name;
  return query select true, extract(epoch from v_wait)::double precision, v_slowest, false, false;
end;
$$;
comment on function crm_sync.spend_budget(bigint, jsonb, interval, bigint, jsonb) is
  'Worker: takes what a call costs of each rate limit, for all daemons together: granted after so many seconds, or refused because that is more than the given wait, a day''s share is spent, the batch was lost, or the connection is paused.';
