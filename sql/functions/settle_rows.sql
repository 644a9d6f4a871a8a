-- What an outcome means for its rows. An outage, a rate limit and a dead connection cost no attempt; a row that stumbles
-- again although others got through since is itself the cause, and pays.
create or replace function crm_sync.settle_rows(p_batch crm_sync.batches, p_lane crm_sync.lanes, p_outcomes jsonb) returns setof bigint
language sql
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  with outcomes as (
    select o.status, o.failure ->> 'kind' as kind, o.failure ->> 'message' as message, coalesce(o.uncertain, false) as uncertain,
      (o.failure ->> 'retry_after')::double precision as retry_after,
      r.row_id::bigint, (o.rows ->> -1)::bigint as leader_id
    from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, failure jsonb, uncertain boolean)
    cross join lateral jsonb_array_elements_text(o.rows) as r (row_id)
  )
  update public.sync_queue as q
  set batch_id = null,
    status = d.status,
    attempts = q.attempts - case when d.costs_attempt then 0 else 1 end,
    superseded_by = case when d.status = 'completed' and q.queue_type = 'contact_sync' and o.leader_id <> q.id then o.leader_id end,
    uncertain = d.status in ('pending', 'retry', 'failed') and o.uncertain,
    next_attempt_at = case
      when d.status <> 'retry' then null
      when o.kind in ('contended', 'bug')
        then now() + greatest(make_interval(secs => coalesce(o.retry_after, 0)), crm_sync.retry_delay(q.attempts, '2 seconds', '10 minutes'))
      when o.kind = 'unavailable' then now() + make_interval(secs => coalesce(o.retry_after, 0)) + random() * interval '2 seconds'
    end,
    stumbled_at = case when o.kind = 'unavailable' then now() else q.stumbled_at end,
    last_error = case
      when o.status = 'synced' then null
      when o.status = 'released' then q.last_error
      when d.status = 'failed' and o.kind = 'unavailable' and not d.costs_attempt then 'gave up waiting for the CRM: ' || o.message
      else o.message
    end,
    completed_at = case when d.status in ('completed', 'failed') then now() end
  from outcomes as o
  cross join crm_sync.config as c
  cross join lateral (select o.row_id as id) as x
  join public.sync_queue as r on r.organization_id = p_batch.organization_id and r.id = x.id
  cross join lateral (
    select coalesce(o.kind in ('rejected', 'contended', 'bug') or o.status = 'synced'
      or (o.kind = 'unavailable' and p_lane.last_success_at > r.stumbled_at), false) as costs_attempt
  ) as a
  cross join lateral (
    select a.costs_attempt, case
      when o.status = 'synced' then 'completed'
      when o.kind = 'rejected' then 'failed'
      when a.costs_attempt and r.attempts >= r.max_attempts then 'failed'
      when o.kind = 'unavailable' and r.created_at < now() - c.give_up_after then 'failed'
      when o.status = 'released' and r.attempts <= 1 and r.last_error is null then 'pending'
      else 'retry'
    end as status
  ) as d
  where q.organization_id = p_batch.organization_id and q.id = o.row_id and q.batch_id = p_batch.id
  returning q.id
$$;
comment on function crm_sync.settle_rows(crm_sync.batches, crm_sync.lanes, jsonb) is 'Worker: moves the rows of a batch to what their outcomes make of them; returns the rows still held.';
