create or replace function crm_sync.park_lane(
  p_batch crm_sync.batches, p_lane crm_sync.lanes, p_kind text, p_reason text, p_retry_after double precision
) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_failures integer := case when p_kind = 'unavailable' then p_lane.failures + 1 else p_lane.failures end;
  v_until timestamptz := case p_kind
    when 'unauthorized' then 'infinity'::timestamptz
    when 'rate_limited' then now() + make_interval(secs => least(greatest(coalesce(p_retry_after, 10), 0.05), 86400))
    else now() + greatest(make_interval(secs => least(coalesce(p_retry_after, 0), 86400)), crm_sync.retry_delay(v_failures, '1 second', '5 minutes'))
  end;
begin
  update crm_sync.lanes as l
  set parked_until = greatest(v_until, l.parked_until),
    parked_kind = case when l.parked_kind = 'unauthorized' and l.parked_until = 'infinity' then l.parked_kind else p_kind end,
    parked_reason = p_reason,
    failures = v_failures,
    batch_limit = case when p_kind = 'unavailable' then greatest(1, cardinality(p_batch.row_ids) / 4) else l.batch_limit end
  where l.organization_id = p_batch.organization_id and l.integration_id = p_batch.integration_id;
  if p_kind = 'unauthorized' then
    update public.user_integrations as i
    set status = 'error', last_error = p_reason, error_count = i.error_count + 1
    where i.organization_id = p_batch.organization_id and i.id = p_batch.integration_id and i.status in ('connected', 'syncing');
    if found then
      insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
      values (p_batch.organization_id, p_batch.integration_id, 'connection', 'error', 'Connection needs a person', p_reason);
      perform pg_catalog.pg_notify('crm_sync_events', jsonb_build_object('event', 'connection_error', 'integration_id', p_batch.integration_id)::text);
    end if;
  end if;
end;
$$;
comment on function crm_sync.park_lane(crm_sync.batches, crm_sync.lanes, text, text, double precision) is
  'Worker: leaves a connection alone: until the CRM has room, until it may be up again, or until a person has connected it anew.';
