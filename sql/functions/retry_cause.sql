create or replace function crm_sync.retry_cause(
  p_integration_id bigint, p_kind text, p_queue_type text, p_code text default null, p_field text default null, p_message text default null
)
returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_integration public.user_integrations := crm_sync.require_integration(p_integration_id);
  v_message text := replace(p_message, E'\r\n', E'\n'); -- a browser writes line ends its own way
  v_count bigint;
begin
  perform from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  -- the rows of one line of crm_sync.failures: by the CRM's code and its field, else by its words
  with failed as (
    update public.sync_queue as q
    set status = 'retry', attempts = 0, losses = 0, next_attempt_at = null, completed_at = null, stumbled_at = null, scheduled_at = now()
    where q.integration_id = p_integration_id and q.completed_at is not null and q.failure is not null
      and coalesce(q.failure ->> 'kind', 'other') = p_kind and q.queue_type = p_queue_type
      and q.failure ->> 'code' is not distinct from p_code and q.failure ->> 'field' is not distinct from p_field
      and ((p_code is not null and p_field is not null) or replace(q.last_error, E'\r\n', E'\n') is not distinct from v_message)
    returning q.id
  ),
  retrying as (
    update public.sync_queue as q
    set next_attempt_at = null
    where q.integration_id = p_integration_id and q.completed_at is null and q.next_attempt_at is not null and q.status = 'retry'
      and coalesce(q.failure ->> 'kind', 'other') = p_kind and q.queue_type = p_queue_type
      and q.failure ->> 'code' is not distinct from p_code and q.failure ->> 'field' is not distinct from p_field
      and ((p_code is not null and p_field is not null) or replace(q.last_error, E'\r\n', E'\n') is not distinct from v_message)
    returning q.id
  )
  select (select count(*) from failed) + (select count(*) from retrying) into v_count;
  if v_count > 0 then
    update crm_sync.lanes as l set look_behind_at = '-infinity', search_all_at = '-infinity', recount_at = clock_timestamp() where l.integration_id = p_integration_id;
    insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
    values (v_integration.organization_id, p_integration_id, 'connection', 'info', 'Failed rows retried',
      format('%s row(s) of one cause (%s) put back by %s', v_count, concat_ws(', ', p_kind, p_code, p_field), crm_sync.caller_name()));
    perform crm_sync.ring();
  end if;
  return v_count;
end;
$$;
comment on function crm_sync.retry_cause(bigint, text, text, text, text, text) is
  'Operator: puts the failed rows of one line of crm_sync.failures back, with all their attempts, and brings those forward that were to be tried again anyway; returns how many.';
