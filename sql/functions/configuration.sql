create or replace function crm_sync.configuration(p_organization_id uuid default null) returns jsonb
language sql stable
security definer
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $$
  select jsonb_build_object('version', 1)
    || case when p_organization_id is not null or crm_sync.caller_may_see(null) is not true then '{}' else jsonb_build_object(
      'config', (
        select jsonb_object_agg(s.key, s.value)
        from crm_sync.config as c
        cross join lateral jsonb_each(to_jsonb(c) - 'is_only') as s
        where not crm_sync.holds_secret(s.key, s.value)
      ),
      'providers', (
        select coalesce(jsonb_object_agg(p.name, case when p.is_active then '{}' else '{"is_active": false}'::jsonb end || coalesce((
          select jsonb_build_object('config', jsonb_object_agg(k.key, k.value))
          from jsonb_each(p.config) as k
          where k.value is distinct from p.shipped_config -> k.key and not crm_sync.holds_secret(k.key, k.value)
          having count(*) > 0
        ), '{}')), '{}')
        from public.integration_providers as p
      ),
      'intent_rules', (
        select coalesce(jsonb_object_agg(r.intent, jsonb_build_object('contact_status', r.contact_status, 'create_deal', r.create_deal)), '{}')
        from crm_sync.intent_rules as r
        where r.organization_id is null
      ),
      'alert_rules', (
        select coalesce(jsonb_object_agg(r.name, crm_sync.alert_rule_settings(r)), '{}') from crm_sync.alert_rules as r where r.organization_id is null
      )
    ) end
    || jsonb_build_object('organizations', (
      select coalesce(jsonb_object_agg(o.id, jsonb_build_object('name', o.name)
        || coalesce((
          select jsonb_build_object('intent_rules',
            jsonb_object_agg(r.intent, jsonb_build_object('contact_status', r.contact_status, 'create_deal', r.create_deal)))
          from crm_sync.intent_rules as r
          where r.organization_id = o.id
          having count(*) > 0
        ), '{}')
        || coalesce((
          select jsonb_build_object('alert_rules', jsonb_object_agg(r.name, crm_sync.alert_rule_settings(r)))
          from crm_sync.alert_rules as r
          where r.organization_id = o.id
          having count(*) > 0
        ), '{}')
        || coalesce((
          select jsonb_build_object('connections', jsonb_object_agg(p.name || '/' || i.name,
            jsonb_build_object('sync_frequency', i.sync_frequency)
            || coalesce((
              select jsonb_build_object('sync_settings', jsonb_object_agg(s.key, s.value))
              from jsonb_each(i.sync_settings) as s
              where s.value is distinct from d.settings -> s.key and not crm_sync.holds_secret(s.key, s.value)
              having count(*) > 0
            ), '{}')
            || case when i.field_mappings = '{}' then '{}' else jsonb_build_object('field_mappings', i.field_mappings) end
            || case when i.sync_filters = '{}' then '{}' else jsonb_build_object('sync_filters', i.sync_filters) end))
          from public.user_integrations as i
          join public.integration_providers as p on p.id = i.provider_id
          cross join lateral (select crm_sync.default_sync_settings(p.id) as settings) as d
          where i.organization_id = o.id
          having count(*) > 0
        ), '{}')), '{}')
      from public.organizations as o
      where crm_sync.caller_may_see(o.id) and case
        when p_organization_id is not null then o.id = p_organization_id
        else exists (select from public.user_integrations as i where i.organization_id = o.id) or exists (select from crm_sync.intent_rules as r where r.organization_id = o.id)
          or exists (select from crm_sync.alert_rules as r where r.organization_id = o.id)
      end
    ))
$$;
comment on function crm_sync.configuration(uuid) is
  'Reader: all settings, or those of one organization, as a document that crm_sync.apply_configuration() takes; of connections and CRMs what differs from the defaults, and no secrets.';
