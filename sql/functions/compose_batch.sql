-- The settings hold for all that is called from here, where plans are made once for a session: see contact_of.
create or replace function crm_sync.compose_batch(p_batch_id bigint) returns json
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set random_page_cost = 1000
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v record;
begin
  select array_agg(q) filter (where q.queue_type = 'contact_sync') as contacts, array_agg(q) filter (where q.queue_type = 'deal_sync') as deals,
    array_agg(q) filter (where q.queue_type = 'activity_sync' and q.payload ->> 'key' like 'message:%') as messages,
    array_agg(q) filter (where q.queue_type = 'activity_sync' and q.payload ->> 'key' like 'task:%') as tasks,
    array_agg(q) filter (where q.queue_type = 'contact_erasure') as erasures
  into v
  from crm_sync.batches as b
  cross join lateral unnest(b.row_ids) as u (id)
  cross join lateral crm_sync.row_of(b.organization_id, u.id) as q
  where b.id = p_batch_id;

  return (
    -- json: what is only carried need not be taken apart and put together at each level
    select json_build_object(
      'id', b.id, 'organization_id', b.organization_id, 'integration_id', b.integration_id,
      'provider', p.name, 'config', p.config - array['field_mappings', 'status_values', 'status_ranks', 'default_settings', 'limits'],
      'credentials_version', i.credentials_version, 'connected_version', l.connected_version, 'schema_ready', l.schema_ready_at is not null,
      'schema_stale', l.described_at is null or l.described_at < now() - interval '1 day', 'account', l.account,
      'contacts', coalesce(crm_sync.compose_contacts(b.organization_id, b.integration_id, v.contacts), '[]'),
      'deals', coalesce(crm_sync.compose_deals(b.organization_id, b.integration_id, v.deals), '[]'),
      'activities', coalesce(crm_sync.compose_activities(b.organization_id, b.integration_id, v.messages), '[]'),
      'tasks', coalesce(crm_sync.compose_tasks(b.organization_id, b.integration_id, v.tasks), '[]'),
      'erasures', coalesce(crm_sync.compose_erasures(v.erasures), '[]')
    )
    from crm_sync.batches as b
    join public.user_integrations as i on i.organization_id = b.organization_id and i.id = b.integration_id
    join public.integration_providers as p on p.id = i.provider_id
    join crm_sync.lanes as l on l.organization_id = b.organization_id and l.integration_id = b.integration_id
    where b.id = p_batch_id
  );
end;
$$;
comment on function crm_sync.compose_batch(bigint) is 'Worker: a claimed batch as documents, composed from what is true now.';
