create or replace function crm_sync.sync_now(p_integration_id bigint) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_integration public.user_integrations := crm_sync.begin_action(p_integration_id);
  v_forward record;
begin
  with deferred as (
    select q.organization_id, q.id
    from public.sync_queue as q
    where q.integration_id = p_integration_id and q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null
    order by q.next_attempt_at
    limit 50000 -- as many as a person can wait for
  ),
  forward as (
    update public.sync_queue as q
    set next_attempt_at = null
    from deferred as d
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
  return v_forward.rows;
end;
$$;
comment on function crm_sync.sync_now(bigint) is
  'Operator: what a connection keeps for its next hour or day, or for a later attempt, is sent now; returns how many rows that were, 50,000 at most.';
