-- What an outcome means for its rows. An outage, a rate limit and a dead connection cost no attempt; a row that stumbles
-- again although others got through since is itself the cause, and pays.
-- Here and in the other functions of a batch, keys come out of materialized CTEs, one lookup after the other: a constant
-- organization or batch, or a join that could start elsewhere, would tempt a planner with poor statistics to read all of an
-- organization's rows instead of looking up each by its key.
create or replace function crm_sync.settle_rows(p_batch crm_sync.batches, p_lane crm_sync.lanes, p_outcomes jsonb) returns setof bigint
language sql
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  with outcomes as materialized (
    select p_batch.organization_id as organization_id, p_batch.id as batch_id, r.row_id::bigint as row_id, (o.rows ->> -1)::bigint as leader_id,
      o.status, o.failure ->> 'kind' as kind, o.failure ->> 'message' as message, coalesce(o.uncertain, false) as uncertain,
      (o.failure ->> 'retry_after')::double precision as retry_after,
      jsonb_strip_nulls(jsonb_build_object('kind', o.failure -> 'kind', 'code', o.failure -> 'code', 'field', o.failure -> 'field',
        'status', o.failure -> 'status', 'correlation_id', o.failure -> 'correlation_id')) as failure
    from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, failure jsonb, uncertain boolean)
    cross join lateral jsonb_array_elements_text(o.rows) as r (row_id)
  ),
  judged as materialized (
    select o.*, a.costs_attempt, case
        when o.status = 'synced' then 'completed'
        when o.kind = 'rejected' then 'failed'
        when a.costs_attempt and q.attempts >= q.max_attempts then 'failed'
        when o.kind = 'unavailable' and q.scheduled_at < now() - c.give_up_after then 'failed'
        when o.status = 'released' and q.attempts <= 1 and q.last_error is null then 'pending'
        else 'retry'
      end as next_status
    from outcomes as o
    join public.sync_queue as q on q.organization_id = o.organization_id and q.id = o.row_id and q.batch_id = o.batch_id
    cross join crm_sync.config as c
    cross join lateral (
      select coalesce(o.kind in ('rejected', 'contended', 'bug') or o.status = 'synced'
        or (o.kind = 'unavailable' and p_lane.last_success_at > q.stumbled_at), false) as costs_attempt
    ) as a
  )
  update public.sync_queue as q
  set batch_id = null,
    status = j.next_status,
    attempts = q.attempts - case when j.costs_attempt then 0 else 1 end,
    superseded_by = case when j.next_status = 'completed' and q.queue_type = 'contact_sync' and j.leader_id <> q.id then j.leader_id end,
    uncertain = j.next_status in ('pending', 'retry', 'failed') and j.uncertain,
    next_attempt_at = case
      when j.next_status <> 'retry' then null
      when j.kind in ('contended', 'bug')
        then now() + greatest(make_interval(secs => coalesce(j.retry_after, 0)), crm_sync.retry_delay(q.attempts, '2 seconds', '10 minutes'))
      -- a little longer than the connection rests: the probe after an outage is a row that has not stumbled, or the row
      -- that brought the outage about would be the probe for ever
      when j.kind = 'unavailable' then now() + random() * interval '2 seconds' + 1.5 * greatest(
        make_interval(secs => least(coalesce(j.retry_after, 0), 86400)),
        least(interval '5 minutes', power(2, least(p_lane.failures, 20)) * interval '1 second'))
    end,
    stumbled_at = case when j.kind = 'unavailable' then now() else q.stumbled_at end,
    last_error = case
      when j.status = 'synced' then null
      when j.status = 'released' then q.last_error
      when j.next_status = 'failed' and j.kind = 'unavailable' and not j.costs_attempt then 'gave up waiting for the CRM: ' || j.message
      else j.message
    end,
    failure = case when j.status = 'synced' then null when j.status = 'released' then q.failure else j.failure end,
    completed_at = case when j.next_status in ('completed', 'failed') then now() end
  from judged as j
  where q.organization_id = j.organization_id and q.id = j.row_id and q.batch_id = j.batch_id
  returning q.id
$$;
comment on function crm_sync.settle_rows(crm_sync.batches, crm_sync.lanes, jsonb) is 'Worker: moves the rows of a batch to what their outcomes make of them; returns the rows still held.';
