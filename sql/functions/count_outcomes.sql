create or replace function crm_sync.count_outcomes(p_batch crm_sync.batches, p_settled bigint[], p_error text, p_parked_kind text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v record;
  v_synced bigint := 0;
  v_superseded bigint := 0;
  v_deals bigint := 0;
  v_activities bigint := 0;
  v_retried bigint := 0;
  v_given_up bigint := 0;
  v_lags bigint[];
  v_lane crm_sync.lanes;
  v_first_id bigint := (select min(u.id) from unnest(p_batch.row_ids) as u (id));
begin
  -- the lane is locked since the batch's end began: nobody else adds to it
  select l.lags into v_lags from crm_sync.lanes as l
  where l.organization_id = p_batch.organization_id and l.integration_id = p_batch.integration_id;
  -- a few groups, as rows that are settled together have waited for about as long
  for v in
    select case when q.status = 'completed' then 1 + width_bucket(q.completed_at - q.scheduled_at, crm_sync.lag_bounds()) end as lag,
      count(*) filter (where q.status = 'completed' and q.superseded_by is null) as synced,
      count(*) filter (where q.status = 'completed') as completed,
      count(*) filter (where q.status = 'completed' and q.queue_type = 'deal_sync') as deals,
      count(*) filter (where q.status = 'completed' and q.queue_type = 'activity_sync') as activities,
      count(*) filter (where q.status = 'retry') as retried,
      count(*) filter (where q.status = 'failed') as given_up
    from unnest(p_settled) as u (id)
    cross join lateral crm_sync.row_of(p_batch.organization_id, u.id) as q
    group by 1
  loop
    v_synced := v_synced + v.synced;
    v_superseded := v_superseded + v.completed - v.synced;
    v_deals := v_deals + v.deals;
    v_activities := v_activities + v.activities;
    v_retried := v_retried + v.retried;
    v_given_up := v_given_up + v.given_up;
    if v.lag is not null then
      v_lags[v.lag] := v_lags[v.lag] + v.completed;
    end if;
  end loop;

  update crm_sync.lanes as l
  set synced = l.synced + v_synced,
    superseded = l.superseded + v_superseded,
    synced_deals = l.synced_deals + v_deals,
    synced_activities = l.synced_activities + v_activities,
    batches = l.batches + 1,
    retried = l.retried + v_retried,
    given_up = l.given_up + v_given_up,
    lags = v_lags,
    last_success_at = case when v_synced > 0 then now() else l.last_success_at end,
    errors = case when v_synced > 0 then 0 else l.errors end + case when p_error is not null then 1 else 0 end,
    last_failure_at = case when p_error is not null then now() else l.last_failure_at end,
    last_error = coalesce(p_error, l.last_error)
  where l.organization_id = p_batch.organization_id and l.integration_id = p_batch.integration_id
  returning l.* into v_lane;

  if p_parked_kind is null and v_synced > 0 and (v_lane.failures > 0 or v_lane.batch_limit is not null or v_lane.parked_kind is not null) then
    -- the CRM is back: batches grow again, and the lane is free unless it waits for something else
    update crm_sync.lanes as l
    set failures = 0,
      batch_limit = case when l.batch_limit < 1000 then l.batch_limit * 2 end,
      parked_kind = case when l.parked_until > now() then l.parked_kind end,
      parked_reason = case when l.parked_until > now() then l.parked_reason end,
      parked_until = case when l.parked_until > now() then l.parked_until end
    where l.organization_id = p_batch.organization_id and l.integration_id = p_batch.integration_id;
  end if;

  -- carried to the row that people look at when the work is done, and every few seconds while it is not
  if v_lane.folded_at < now() - interval '5 seconds' or not exists (
    -- from this batch's rows on: before them an old snapshot may keep dead index entries of all the rows that ever were
    select
    from generate_series(1, 10) as p (priority)
    cross join lateral (
      select from public.sync_queue as q
      where q.integration_id = p_batch.integration_id and q.priority = p.priority and q.id >= v_first_id
        and q.completed_at is null and q.next_attempt_at is null and q.batch_id is null
      order by q.id
      limit 1
    ) as q
  ) then
    perform crm_sync.fold_counters(p_batch.organization_id, p_batch.integration_id);
  end if;
end;
$$;
comment on function crm_sync.count_outcomes(crm_sync.batches, bigint[], text, text) is 'Worker: adds the rows of a batch that were tried to the counters of its connection.';
