create or replace function crm_sync.sync_now(p_integration_id bigint) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_integration public.user_integrations := crm_sync.begin_action(p_integration_id);
  v_room integer := crm_sync.rows_at_once();
  v_ids bigint[];
  v_forward record;
begin
  v_ids := array(
    select q.id
    from public.sync_queue as q
    where q.integration_id = p_integration_id and q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null
    order by q.next_attempt_at
    limit v_room + 1
  );
  with forward as (
    update public.sync_queue as q
    set next_attempt_at = null
    from (select v_integration.organization_id as organization_id, u.id from unnest(v_ids[:v_room]) as u (id) offset 0) as d
    where q.organization_id = d.organization_id and q.id = d.id and q.completed_at is null and q.batch_id is null
    returning q.id, q.priority
  )
  select count(*) as rows, array_agg(f.id) as ids, array_agg(f.priority) as priorities into v_forward from forward as f;
  -- a CRM that was down is asked at once whether it is back; one that asked us to slow down is not
  update crm_sync.lanes as l
  set search_all_at = '-infinity', parked_until = case when l.parked_kind = 'unavailable' then now() else l.parked_until end
  where l.integration_id = p_integration_id;
  perform crm_sync.end_action(v_integration, 'Sync asked for',
    format('%s waiting row(s) brought forward by %s', v_forward.rows, crm_sync.caller_name()), v_forward.ids, v_forward.priorities);
  perform crm_sync.ring();
  if cardinality(v_ids) > v_room then
    raise notice '% row(s) brought forward, as many as one call takes; there are more: call it again', v_forward.rows;
  end if;
  return v_forward.rows;
end;
$$;
comment on function crm_sync.sync_now(bigint) is
  'Operator: what a connection keeps for its next hour or day, or for a later attempt, is sent now; up to 5,000 rows a call, returns how many.';
