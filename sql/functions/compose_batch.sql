create or replace function crm_sync.compose_batch(p_batch_id bigint) returns json
language plpgsql stable
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_batch crm_sync.batches;
  v_rows record;
begin
  select * into v_batch from crm_sync.batches as b where b.id = p_batch_id;
  select array_agg(q) filter (where q.queue_type = 'contact_sync') as contacts, array_agg(q) filter (where q.queue_type = 'deal_sync') as deals,
    array_agg(q) filter (where q.queue_type = 'activity_sync' and q.payload ->> 'key' like 'message:%') as messages,
    array_agg(q) filter (where q.queue_type = 'activity_sync' and q.payload ->> 'key' like 'task:%') as tasks
  into v_rows
  from (select v_batch.organization_id as organization_id, u.id from unnest(v_batch.row_ids) as u (id) offset 0) as c
  join public.sync_queue as q on q.organization_id = c.organization_id and q.id = c.id;
  return (
    select json_build_object(
      'id', v_batch.id, 'organization_id', v_batch.organization_id, 'integration_id', v_batch.integration_id,
      'provider', p.name, 'config', p.config - array['field_mappings', 'status_values', 'status_ranks', 'default_settings', 'limits'],
      'credentials_version', i.credentials_version, 'schema_ready', l.schema_ready_at is not null,
      'schema_stale', l.described_at is null or l.described_at < now() - interval '1 day', 'account', l.account,
      'contacts', coalesce(crm_sync.compose_contacts(v_batch.organization_id, v_batch.integration_id, v_rows.contacts), '[]'),
      'deals', coalesce(crm_sync.compose_deals(v_batch.organization_id, v_batch.integration_id, v_rows.deals), '[]'),
      'activities', coalesce(crm_sync.compose_activities(v_batch.organization_id, v_batch.integration_id, v_rows.messages), '[]'),
      'tasks', coalesce(crm_sync.compose_tasks(v_batch.organization_id, v_batch.integration_id, v_rows.tasks), '[]')
    )
    from public.user_integrations as i
    join public.integration_providers as p on p.id = i.provider_id
    join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
    where i.organization_id = v_batch.organization_id and i.id = v_batch.integration_id
  );
end;
$$;
comment on function crm_sync.compose_batch(bigint) is 'Worker: a claimed batch as documents, composed from what is true now.';
