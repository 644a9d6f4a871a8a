-- Once a minute by every daemon: one of them counts, the others find the settings' row taken, or the minute done.
create or replace function crm_sync.take_samples() returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_minute timestamptz := date_trunc('minute', now());
  v_samples crm_sync.samples[];
  v_lags crm_sync.lag_samples[];
  v_count integer;
begin
  perform from crm_sync.config as c for no key update skip locked;
  if not found then
    return 0;
  end if;

  -- what is few is counted, what is much is taken from the last tally
  select array_agg((l.organization_id, l.integration_id, v_minute, l.synced, v.waiting, c.failed, now() - w.created_at, l.given_up,
    greatest(l.synced - coalesce(s.synced, 0), 0), greatest(l.given_up - coalesce(s.given_up, 0), 0))::crm_sync.samples)
  into v_samples
  from crm_sync.lanes as l
  join crm_sync.lane_counts() as c on c.organization_id = l.organization_id and c.integration_id = l.integration_id
  cross join lateral (select c.waiting + c.running + c.retrying as waiting) as v
  left join crm_sync.oldest_rows() as w on w.organization_id = l.organization_id and w.integration_id = l.integration_id
  left join lateral (
    select s.* from crm_sync.samples as s
    where s.organization_id = l.organization_id and s.integration_id = l.integration_id
    order by s.sampled_at desc
    limit 1
  ) as s on true
  where s.sampled_at is null or (
    s.sampled_at < v_minute and (s.synced, s.waiting, s.failed, s.given_up) is distinct from (l.synced, v.waiting, c.failed, l.given_up)
  );
  select array_agg((l.organization_id, l.integration_id, v_minute, l.lags)::crm_sync.lag_samples) into v_lags
  from crm_sync.lanes as l
  left join lateral (
    select s.* from crm_sync.lag_samples as s
    where s.organization_id = l.organization_id and s.integration_id = l.integration_id
    order by s.sampled_at desc
    limit 1
  ) as s on true
  where s.lags is distinct from l.lags and (s.lags is not null or 0 < any (l.lags));

  -- a connection that is being deleted at this moment is left alone: waiting for it, we might hold what it waits for
  with alive as materialized (
    select i.organization_id, i.id
    from unnest(v_samples) as s
    join public.user_integrations as i on i.organization_id = s.organization_id and i.id = s.integration_id
    for key share of i skip locked
  )
  insert into crm_sync.samples
  select s.*
  from unnest(v_samples) as s
  join alive as a on a.organization_id = s.organization_id and a.id = s.integration_id
  on conflict do nothing;
  get diagnostics v_count = row_count;
  with alive as materialized (
    select i.organization_id, i.id
    from unnest(v_lags) as s
    join public.user_integrations as i on i.organization_id = s.organization_id and i.id = s.integration_id
    for key share of i skip locked
  )
  insert into crm_sync.lag_samples
  select s.*
  from unnest(v_lags) as s
  join alive as a on a.organization_id = s.organization_id and a.id = s.integration_id
  on conflict do nothing;

  -- the last one stays, however long nothing has changed: without it the next would take all that was ever done for one minute's
  delete from crm_sync.samples as s
  where s.ctid = any (array(
    select x.ctid from crm_sync.samples as x
    where x.sampled_at < now() - (select c.retain_samples from crm_sync.config as c)
      and exists (
        select from crm_sync.samples as n
        where n.organization_id = x.organization_id and n.integration_id = x.integration_id and n.sampled_at > x.sampled_at
      )
    order by x.sampled_at
    limit 10000
    for update skip locked
  ));
  -- of old ones the last of each ten minutes, of older ones the last of each hour, of those before yesterday's the very last
  delete from crm_sync.lag_samples as s
  where s.sampled_at < now() - interval '10 minutes' and exists (
    select from crm_sync.lag_samples as n
    where n.organization_id = s.organization_id and n.integration_id = s.integration_id and n.sampled_at > s.sampled_at
      and n.sampled_at < case
        when s.sampled_at < now() - interval '25 hours' then now() - interval '1 day'
        when s.sampled_at < now() - interval '2 hours' then date_bin('1 hour', s.sampled_at, '2000-01-01Z') + interval '1 hour'
        else least(date_bin('10 minutes', s.sampled_at, '2000-01-01Z') + interval '10 minutes', now() - interval '10 minutes')
      end
  );
  return v_count;
end;
$$;
comment on function crm_sync.take_samples() is
  'Worker: notes how each connection stands that stands otherwise than a minute ago, for the charts, and deletes what is past its retention; returns how many were noted.';
