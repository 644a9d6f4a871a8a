create or replace function crm_sync.park_lane(
  p_batch crm_sync.batches, p_lane crm_sync.lanes, p_kind text, p_reason text, p_retry_after double precision
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  -- credentials that somebody gave it since are not those that were refused: the next batch tries them
  v_kind text := case when p_kind = 'unauthorized' and p_lane.connected_at > p_batch.claimed_at then 'unavailable' else p_kind end;
  v_failures integer := case when v_kind = 'unavailable' then p_lane.failures + 1 else p_lane.failures end;
  v_until timestamptz := case v_kind
    when 'rate_limited' then now() + make_interval(secs => least(greatest(coalesce(p_retry_after, 10), 0.05), 86400))
    else now() + greatest(make_interval(secs => least(coalesce(p_retry_after, 0), 86400)), crm_sync.retry_delay(v_failures, '1 second', '5 minutes'))
  end;
begin
  if v_kind = 'unauthorized' then
    perform crm_sync.lose_connection(p_batch.organization_id, p_batch.integration_id, p_reason);
    return;
  end if;
  update crm_sync.lanes as l
  set parked_until = greatest(v_until, l.parked_until),
    parked_kind = case when l.parked_until = 'infinity' then l.parked_kind else v_kind end, -- waits for a person
    parked_reason = case when l.parked_until = 'infinity' then l.parked_reason else p_reason end,
    failures = v_failures,
    batch_limit = case when v_kind = 'unavailable' then greatest(1, cardinality(p_batch.row_ids) / 4) else l.batch_limit end
  where l.organization_id = p_batch.organization_id and l.integration_id = p_batch.integration_id;
end;
$$;
comment on function crm_sync.park_lane(crm_sync.batches, crm_sync.lanes, text, text, double precision) is
  'Worker: leaves a connection alone: until the CRM has room, until it may be up again, or until a person has connected it anew.';
