-- What an outcome means for its rows. An outage, a rate limit and a dead connection cost no attempt; a row that stumbles
-- again although others got through since is itself the cause, and pays.
-- Here and in the other functions of a batch, keys come out of materialized CTEs, one lookup after the other: a constant
-- organization or batch, or a join that could start elsewhere, would tempt a planner with poor statistics to read all of an
-- organization's rows instead of looking up each by its key.
create or replace function crm_sync.settle_rows(p_batch crm_sync.batches, p_lane crm_sync.lanes, p_outcomes jsonb) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_settled bigint[];
  v_failed bigint[];
begin
  -- nearly always all of them, so this is one lookup for each row
  with settled as (
    update public.sync_queue as q
    set status = 'completed', batch_id = null, completed_at = now(), next_attempt_at = null, uncertain = false, last_error = null, failure = null,
      superseded_by = case when q.queue_type = 'contact_sync' then nullif(s.leader_id, q.id) end
    from (
      select p_batch.organization_id as organization_id, p_batch.id as batch_id, unnest(o.rows) as row_id, o.rows[cardinality(o.rows)] as leader_id
      from jsonb_to_recordset(p_outcomes) as o (rows bigint[], status text)
      where o.status = 'synced'
      offset 0
    ) as s
    where q.organization_id = s.organization_id and q.id = s.row_id and q.batch_id = s.batch_id
    returning q.id
  )
  select coalesce(array_agg(s.id), '{}') into v_settled from settled as s;
  if cardinality(v_settled) = cardinality(p_batch.row_ids) then
    return v_settled;
  end if;

  with outcomes as materialized (
    select p_batch.organization_id as organization_id, p_batch.id as batch_id, r.row_id::bigint as row_id,
      o.status, o.failure ->> 'kind' as kind, o.failure ->> 'message' as message, coalesce(o.uncertain, false) as uncertain,
      (o.failure ->> 'retry_after')::double precision as retry_after,
      jsonb_strip_nulls(jsonb_build_object('kind', o.failure -> 'kind', 'code', o.failure -> 'code', 'field', o.failure -> 'field',
        'status', o.failure -> 'status', 'correlation_id', o.failure -> 'correlation_id')) as failure
    from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, failure jsonb, uncertain boolean)
    cross join lateral jsonb_array_elements_text(o.rows) as r (row_id)
    where o.status <> 'synced'
  ),
  judged as materialized (
    select o.*, a.costs_attempt, case
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
      select coalesce(o.kind in ('rejected', 'contended', 'bug')
        or (o.kind = 'unavailable' and p_lane.last_success_at > q.stumbled_at), false) as costs_attempt
    ) as a
  ),
  settled as (
    update public.sync_queue as q
    set batch_id = null,
      status = j.next_status,
      attempts = q.attempts - case when j.costs_attempt then 0 else 1 end,
      superseded_by = null,
      uncertain = j.uncertain,
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
        when j.status = 'released' then q.last_error
        when j.next_status = 'failed' and j.kind = 'unavailable' and not j.costs_attempt then 'gave up waiting for the CRM: ' || j.message
        else j.message
      end,
      failure = case when j.status = 'released' then q.failure else j.failure end,
      failing_since = case
        when j.status = 'released' or (
          q.failing_since is not null and (q.failure ->> 'kind', q.failure ->> 'code', q.failure ->> 'field')
            is not distinct from (j.failure ->> 'kind', j.failure ->> 'code', j.failure ->> 'field')
        ) then q.failing_since
        else now()
      end,
      completed_at = case when j.next_status = 'failed' then now() end
    from judged as j
    where q.organization_id = j.organization_id and q.id = j.row_id and q.batch_id = j.batch_id
    returning q.id
  )
  select coalesce(array_agg(s.id), '{}') into v_failed from settled as s;
  v_settled := v_settled || v_failed;

  -- rows nobody spoke of go back unharmed; but a daemon from before there were erasures knows of none, and would take one again at once
  update public.sync_queue as q
  set status = case when q.attempts > 1 or q.last_error is not null or q.queue_type = 'contact_erasure' then 'retry' else 'pending' end,
    batch_id = null, attempts = q.attempts - 1,
    next_attempt_at = case when q.queue_type = 'contact_erasure' then now() + interval '1 minute' end,
    last_error = case
      when q.queue_type = 'contact_erasure' then 'a daemon of an older version took this, which cannot erase: restart it in the new version'
      else q.last_error
    end
  from (
    select p_batch.organization_id as organization_id, p_batch.id as batch_id, u.id
    from unnest(p_batch.row_ids) as u (id)
    where (u.id in (select s.id from unnest(v_settled) as s (id))) is not true
    offset 0
  ) as c
  where q.organization_id = c.organization_id and q.id = c.id and q.batch_id = c.batch_id;
  return v_settled;
end;
$$;
comment on function crm_sync.settle_rows(crm_sync.batches, crm_sync.lanes, jsonb) is
  'Worker: moves the rows of a batch to what their outcomes make of them, and rows without one back to where they were; returns those that have an outcome.';
