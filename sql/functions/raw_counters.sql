create or replace function crm_sync.raw_counters(p_lane crm_sync.lanes) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'synced', p_lane.synced, 'superseded', p_lane.superseded, 'contacts', p_lane.synced_contacts, 'deals', p_lane.synced_deals,
    'activities', p_lane.synced_activities, 'batches', p_lane.batches, 'retries', p_lane.retried, 'given_up', p_lane.given_up,
    'calls', coalesce(sum(b.spent), 0), 'rate_limit_waits', coalesce(sum(b.waits), 0), 'rate_limit_waited', coalesce(sum(b.waited), '0'),
    'calls_by_limit', coalesce(jsonb_object_agg(b.name, b.spent) filter (where b.name is not null), '{}')
  )
  from crm_sync.budgets as b
  where b.organization_id = p_lane.organization_id and b.integration_id = p_lane.integration_id
$$;
comment on function crm_sync.raw_counters(crm_sync.lanes) is 'Operator: what the counters of a connection have come to since it exists, whatever was reset: where crm_sync.counters begins anew.';
