create or replace function crm_sync.compose_deals(p_organization_id uuid, p_integration_id bigint, p_row_ids bigint[])
returns table (contact_id uuid, document jsonb)
language sql stable
set search_path = ''
as $$
  select q.contact_id, jsonb_strip_nulls(jsonb_build_object(
    'rows', array[q.id], 'contact_id', q.contact_id, 'uncertain', q.uncertain, 'key', d.key,
    'contact_external_id', coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id'),
    'company_external_id', m.external_company_id,
    'fields', f.fields,
    'echo', jsonb_build_object('key', d.key, 'fields', (select jsonb_object_agg(v.key, v.value -> 'value') from jsonb_each(f.fields) as v))
  ))
  from unnest(p_row_ids) as u (id)
  join public.sync_queue as q on q.organization_id = p_organization_id and q.id = u.id and q.queue_type = 'deal_sync'
  join public.user_integrations as i on i.organization_id = p_organization_id and i.id = p_integration_id
  join public.integration_providers as p on p.id = i.provider_id
  join public.contacts as k on k.organization_id = p_organization_id and k.id = q.contact_id
  join public.contact_sync_mappings as m
    on m.organization_id = p_organization_id and m.integration_id = p_integration_id and m.contact_id = q.contact_id
  join crm_sync.effects as d
    on d.organization_id = p_organization_id and d.integration_id = p_integration_id and d.object_type = 'deal' and d.key = q.payload ->> 'key'
  cross join lateral (
    select d.created_at + make_interval(days => (i.sync_settings ->> 'deal_close_days')::integer) as close_at
  ) as c
  cross join lateral (
    select crm_sync.compose_fields(
      crm_sync.mapping_rules(p.config, i.sync_settings, i.field_mappings, 'deal'),
      to_jsonb(k) || jsonb_build_object(
        'name', coalesce(nullif(btrim(k.first_name), ''), lower(btrim(k.email))) || ' - Email Lead',
        'pipeline', i.sync_settings ->> 'deal_pipeline', 'stage', i.sync_settings ->> 'deal_stage', 'amount', i.sync_settings ->> 'deal_amount',
        'close_date', to_char(c.close_at at time zone 'UTC', 'YYYY-MM-DD'),
        'close_at', to_char(c.close_at at time zone 'UTC', 'YYYY-MM-DD"T00:00:00Z"'),
        'lead_source', i.sync_settings ->> 'lead_source', 'rule', d.rule
      ),
      null
    ) as fields
  ) as f
$$;
comment on function crm_sync.compose_deals(uuid, bigint, bigint[]) is 'Worker: what the claimed deal_sync rows mean now, one document for each deal.';
