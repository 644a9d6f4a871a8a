create or replace function crm_sync.compose_deals(p_organization_id uuid, p_integration_id bigint, p_row_ids bigint[])
returns table (contact_id uuid, document jsonb)
language sql stable
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  with connection as materialized (
    select i.organization_id, i.id as integration_id, i.sync_settings,
      crm_sync.mapping_rules(i.organization_id, i.id, 'deal') as rules
    from public.user_integrations as i
    where i.organization_id = p_organization_id and i.id = p_integration_id
  ),
  claimed as materialized (
    select i.*, u.id from connection as i cross join unnest(p_row_ids) as u (id)
  ),
  queued as materialized (
    select i.*, q.contact_id, q.uncertain, q.created_at, q.payload ->> 'key' as key
    from claimed as i
    join public.sync_queue as q on q.organization_id = i.organization_id and q.id = i.id and q.queue_type = 'deal_sync'
  )
  select q.contact_id, jsonb_strip_nulls(jsonb_build_object(
    'rows', array[q.id], 'contact_id', q.contact_id, 'uncertain', q.uncertain, 'queued_at', q.created_at, 'key', d.key,
    'contact_external_id', coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id'),
    'company_external_id', m.external_company_id,
    'fields', f.fields,
    'echo', jsonb_build_object('key', d.key, 'fields', (select jsonb_object_agg(v.key, v.value -> 'value') from jsonb_each(f.fields) as v))
  ))
  from queued as q
  cross join lateral (
    select m.external_contact_id, m.external_company_id, m.conflict_data from public.contact_sync_mappings as m
    where m.organization_id = q.organization_id and m.integration_id = q.integration_id and m.contact_id = q.contact_id
    offset 0 -- here and below: each by its whole key, whatever the statistics say
  ) as m
  cross join lateral (
    select e.key, e.rule, e.created_at from crm_sync.effects as e
    where e.organization_id = q.organization_id and e.integration_id = q.integration_id and e.object_type = 'deal' and e.key = q.key
      and e.contact_id = q.contact_id -- by either index few rows: that of deals has no key
    offset 0
  ) as d
  cross join lateral (
    select c.* from public.contacts as c where c.organization_id = q.organization_id and c.id = q.contact_id
    offset 0
  ) as k
  cross join lateral (
    select d.created_at + make_interval(days => (q.sync_settings ->> 'deal_close_days')::integer) as close_at
  ) as c
  cross join lateral (
    select crm_sync.compose_fields(
      q.rules,
      to_jsonb(k) || jsonb_build_object(
        'name', coalesce(nullif(crm_sync.trim_blanks(k.first_name), ''), lower(btrim(k.email))) || ' - Email Lead',
        'pipeline', q.sync_settings ->> 'deal_pipeline', 'stage', q.sync_settings ->> 'deal_stage', 'amount', q.sync_settings ->> 'deal_amount', 'currency', q.sync_settings ->> 'deal_currency',
        'close_date', to_char(c.close_at at time zone 'UTC', 'YYYY-MM-DD'),
        'close_at', to_char(c.close_at at time zone 'UTC', 'YYYY-MM-DD"T00:00:00Z"'),
        'lead_source', q.sync_settings ->> 'lead_source', 'rule', d.rule
      ),
      null
    ) as fields
    offset 0
  ) as f
$$;
comment on function crm_sync.compose_deals(uuid, bigint, bigint[]) is 'Worker: what the claimed deal_sync rows mean now, one document for each deal.';
