create or replace function crm_sync.compose_deals(
  p_organization_id uuid, p_integration_id bigint, p_rows public.sync_queue[], p_meant crm_sync.effects[] default '{}'
) returns json
language plpgsql stable strict
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rules crm_sync.mapping_rule[] := crm_sync.mapping_rules(p_organization_id, p_integration_id, 'deal');
  v_settings jsonb := (select i.sync_settings from public.user_integrations as i where i.organization_id = p_organization_id and i.id = p_integration_id);
begin
  return (
    select json_strip_nulls(json_agg(json_build_object(
      'rows', array[q.id], 'contact_id', q.contact_id, 'uncertain', q.uncertain, 'queued_at', q.created_at, 'key', d.key,
      'contact_external_id', coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id'),
      'company_external_id', m.external_company_id,
      'fields', f.fields,
      'echo', json_build_object('key', d.key, 'fields', f.sent_fields)
    )))
    from unnest(p_rows) as q
    left join lateral crm_sync.mapping_of(p_organization_id, p_integration_id, q.contact_id) as m on true
    cross join lateral (
      (
        select e.key, e.rule, e.created_at from crm_sync.effects as e
        where e.organization_id = p_organization_id and e.integration_id = p_integration_id and e.object_type = 'deal' and e.key = q.payload ->> 'key'
          and e.contact_id = q.contact_id -- by either index few rows: that of deals has no key
        offset 0
      )
      union all
      select e.key, e.rule, e.created_at from unnest(p_meant) as e where cardinality(p_meant) > 0 and e.key = q.payload ->> 'key'
    ) as d
    cross join lateral crm_sync.contact_of(p_organization_id, q.contact_id) as k
    cross join lateral (select d.created_at + make_interval(days => (v_settings ->> 'deal_close_days')::integer) as close_at) as c
    cross join lateral crm_sync.compose_fields(v_rules, to_jsonb(k) || jsonb_build_object(
      'name', coalesce(nullif(crm_sync.trim_blanks(k.first_name), ''), lower(btrim(k.email))) || ' - Email Lead',
      'pipeline', v_settings ->> 'deal_pipeline', 'stage', v_settings ->> 'deal_stage', 'amount', v_settings ->> 'deal_amount',
      'currency', v_settings ->> 'deal_currency', 'lead_source', v_settings ->> 'lead_source', 'rule', d.rule,
      'close_date', to_char(c.close_at at time zone 'UTC', 'YYYY-MM-DD'),
      'close_at', to_char(c.close_at at time zone 'UTC', 'YYYY-MM-DD"T00:00:00Z"')
    ), null) as f
    where m.id is not null or cardinality(p_meant) > 0
  );
end;
$$;
comment on function crm_sync.compose_deals(uuid, bigint, public.sync_queue[], crm_sync.effects[]) is 'Worker: what the claimed deal_sync rows mean now, one document for each deal.';
