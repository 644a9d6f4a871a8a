-- Found before anything is locked, looked at again under the lane's lock: reading may take long, and claims go on meanwhile.
create or replace function crm_sync.retry_rows(p_integration_id bigint, p_ids bigint[], p_words text default '') returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_integration public.user_integrations;
  v_back record;
begin
  if coalesce(cardinality(p_ids), 0) = 0 then
    return 0;
  end if;
  v_integration := crm_sync.begin_action(p_integration_id);
  with back as (
    update public.sync_queue as q
    set status = 'retry', next_attempt_at = null, completed_at = null,
      attempts = case when q.status = 'failed' then 0 else q.attempts end,
      losses = case when q.status = 'failed' then 0 else q.losses end,
      stumbled_at = case when q.status = 'failed' then null else q.stumbled_at end,
      scheduled_at = case when q.status = 'failed' then now() else q.scheduled_at end
    from (select v_integration.organization_id as organization_id, u.id from unnest(p_ids) as u (id) offset 0) as u
    where q.organization_id = u.organization_id and q.id = u.id and q.integration_id = p_integration_id
      and (q.status = 'failed' or (q.status = 'retry' and q.next_attempt_at is not null))
    returning q.id, q.priority
  )
  select count(*) as rows, array_agg(b.id) as ids, array_agg(b.priority) as priorities into v_back from back as b;
  if v_back.rows > 0 then
    perform crm_sync.end_action(v_integration, 'Failed rows retried',
      format('%s row(s)%s put back by %s', v_back.rows, p_words, crm_sync.caller_name()), v_back.ids, v_back.priorities);
  end if;
  return v_back.rows;
end;
$$;
comment on function crm_sync.retry_rows(bigint, bigint[], text) is
  'Operator: puts these rows of a connection back if they have failed, with all their attempts, and brings those forward that wait for a later attempt; returns how many.';
