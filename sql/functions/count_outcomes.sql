create or replace function crm_sync.count_outcomes(p_batch crm_sync.batches, p_outcomes jsonb, p_parked_kind text) returns void
language plpgsql
set search_path = ''
as $$
declare
  v record;
  v_lane crm_sync.lanes;
begin
  select
    coalesce(sum(jsonb_array_length(o.rows)) filter (where q.queue_type <> 'contact_sync' and q.status = 'completed'), 0)
      + count(*) filter (where q.queue_type = 'contact_sync' and q.status = 'completed') as synced,
    coalesce(sum(jsonb_array_length(o.rows) - 1) filter (where q.queue_type = 'contact_sync' and q.status = 'completed'), 0) as superseded,
    count(*) filter (where q.queue_type = 'deal_sync' and q.status = 'completed') as deals,
    count(*) filter (where o.status = 'failed') as failures,
    max(o.failure ->> 'message') filter (where o.status = 'failed') as error,
    count(*) filter (where o.status = 'synced') as successes
  into v
  from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, failure jsonb)
  join public.sync_queue as q on q.organization_id = p_batch.organization_id and q.id = (o.rows ->> -1)::bigint;

  update crm_sync.lanes as l
  set synced = l.synced + v.synced,
    superseded = l.superseded + v.superseded,
    synced_deals = l.synced_deals + v.deals,
    last_success_at = case when v.successes > 0 then now() else l.last_success_at end,
    last_failure_at = case when v.failures > 0 then now() else l.last_failure_at end,
    last_error = case when v.failures > 0 then v.error else l.last_error end,
    failures = case when v.successes > 0 and p_parked_kind is null then 0 else l.failures end,
    batch_limit = case when v.successes > 0 and p_parked_kind is null and l.batch_limit < 1000 then l.batch_limit * 2
      when v.successes > 0 and p_parked_kind is null then null else l.batch_limit end,
    parked_kind = case when p_parked_kind is null and l.parked_until <= now() then null else l.parked_kind end,
    parked_reason = case when p_parked_kind is null and l.parked_until <= now() then null else l.parked_reason end,
    parked_until = case when p_parked_kind is null and l.parked_until <= now() then null else l.parked_until end
  where l.organization_id = p_batch.organization_id and l.integration_id = p_batch.integration_id
  returning l.* into v_lane;

  -- carried to the row that people look at when the work is done, and every few seconds while it is not
  if v_lane.folded_at < now() - interval '5 seconds' or not exists (
    select from public.sync_queue as q
    where q.integration_id = p_batch.integration_id and q.status in ('pending', 'retry') and q.next_attempt_at is null
  ) then
    perform crm_sync.fold_counters(p_batch.organization_id, p_batch.integration_id);
  end if;
end;
$$;
comment on function crm_sync.count_outcomes(crm_sync.batches, jsonb, text) is 'Worker: adds a batch to the counters of its connection.';
