create or replace function crm_sync.compose_batch(p_batch_id bigint) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'id', b.id, 'organization_id', b.organization_id, 'integration_id', b.integration_id,
    'provider', p.name, 'config', p.config - array['field_mappings', 'status_values', 'status_ranks', 'default_settings', 'limits'],
    'credentials_version', i.credentials_version, 'schema_ready', l.schema_ready_at is not null,
    'schema_stale', l.described_at is null or l.described_at < now() - interval '1 day', 'account', l.account,
    'contacts', (select coalesce(jsonb_agg(d.document), '[]') from crm_sync.compose_contacts(b.organization_id, b.integration_id, b.row_ids) as d),
    'deals', (select coalesce(jsonb_agg(d.document), '[]') from crm_sync.compose_deals(b.organization_id, b.integration_id, b.row_ids) as d),
    'activities', (select coalesce(jsonb_agg(d.document), '[]') from crm_sync.compose_activities(b.organization_id, b.integration_id, b.row_ids) as d),
    'tasks', (select coalesce(jsonb_agg(d.document), '[]') from crm_sync.compose_tasks(b.organization_id, b.integration_id, b.row_ids) as d)
  )
  from crm_sync.batches as b
  join public.user_integrations as i on i.organization_id = b.organization_id and i.id = b.integration_id
  join public.integration_providers as p on p.id = i.provider_id
  join crm_sync.lanes as l on l.organization_id = b.organization_id and l.integration_id = b.integration_id
  where b.id = p_batch_id
$$;
comment on function crm_sync.compose_batch(bigint) is 'Worker: a claimed batch as documents, composed from what is true now.';
