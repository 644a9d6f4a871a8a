create or replace function crm_sync.take_over_expired(p_organization_id uuid, p_integration_id bigint) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
  v_batch crm_sync.batches;
  v_count integer := 0;
  v_retried bigint;
  v_given_up bigint;
begin
  for v_batch in
    select * from crm_sync.batches as b
    where b.organization_id = p_organization_id and b.integration_id = p_integration_id and b.lease_until < clock_timestamp()
    order by b.id
    for update skip locked
  loop
    with freed as (
      update public.sync_queue as q
      set status = case when q.losses >= 9 then 'failed' else 'retry' end,
        batch_id = null,
        failing_since = case when q.failure is null then coalesce(q.failing_since, now()) else now() end,
        losses = q.losses + 1, attempts = q.attempts - 1, uncertain = true, next_attempt_at = null,
        completed_at = case when q.losses >= 9 then now() end,
        failure = case when q.losses >= 9 then '{"kind": "other"}'::jsonb end,
        last_error = case when q.losses >= 9
          then 'ten daemons vanished while they worked on this row; look at their logs, then retry it'
          else 'the daemon that worked on it vanished' end
      from (select v_batch.organization_id as organization_id, u.id from unnest(v_batch.row_ids) as u (id) offset 0) as c
      where q.organization_id = c.organization_id and q.id = c.id and q.batch_id = v_batch.id
      returning q.status
    )
    select count(*) filter (where f.status = 'retry'), count(*) filter (where f.status = 'failed') into v_retried, v_given_up from freed as f;
    update crm_sync.lanes as l
    set retried = l.retried + v_retried, given_up = l.given_up + v_given_up
    where l.organization_id = p_organization_id and l.integration_id = p_integration_id;
    delete from crm_sync.batches as b where b.id = v_batch.id;
    v_count := v_count + 1;
  end loop;
  return v_count;
end;
$$;
comment on function crm_sync.take_over_expired(uuid, bigint) is 'Worker: frees the rows of a connection whose daemon has not renewed its lease; returns how many batches.';
