create or replace function crm_sync.retry_failed(p_integration_id bigint, p_cause text default null, p_failed_since interval default null) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_integration public.user_integrations := crm_sync.require_integration(p_integration_id);
  v_count bigint;
begin
  perform from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  update public.sync_queue as q
  set status = 'retry', attempts = 0, losses = 0, next_attempt_at = null, completed_at = null, stumbled_at = null, scheduled_at = now()
  where q.integration_id = p_integration_id and q.completed_at is not null and q.failure is not null and q.status = 'failed'
    and (p_cause is null or q.last_error ilike '%' || p_cause || '%')
    and (p_failed_since is null or q.completed_at >= now() - p_failed_since);
  get diagnostics v_count = row_count;
  if v_count > 0 then
    update crm_sync.lanes as l set look_behind_at = '-infinity', search_all_at = '-infinity', recount_at = clock_timestamp() where l.integration_id = p_integration_id;
    insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
    values (v_integration.organization_id, p_integration_id, 'connection', 'info', 'Failed rows retried',
      format('%s row(s) put back by %s', v_count, crm_sync.caller_name()));
    perform crm_sync.ring();
  end if;
  return v_count;
end;
$$;
comment on function crm_sync.retry_failed(bigint, text, interval) is
  'Operator: puts failed rows of a connection back, with all their attempts: all of them, those whose error contains a text, those of the last while; returns how many.';
