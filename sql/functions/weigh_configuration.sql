-- What the document names is made so, what it does not name stays. Settings and what rules of alerts have are named one by one;
-- mappings, filters and rules of intents as a whole. With p_prune what is not named, of what is named, goes back to its default. Secrets that a person keeps among the
-- settings are never exported, so they always stay.
create or replace function crm_sync.weigh_configuration(p_wanted jsonb, p_prune boolean)
returns table (place integer, what text, organization_id uuid, key text, row_id bigint, path text, present jsonb, wanted jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $$
declare
  v_problem text := crm_sync.configuration_problem(p_wanted);
  v_config crm_sync.config := (select c from crm_sync.config as c);
  v_named jsonb;
  v_common crm_sync.alert_rules;
  v record;
begin
  if v_problem is not null then
    raise exception using errcode = 'CS060', message = v_problem, hint = 'Nothing was changed. An example: select crm_sync.configuration().';
  end if;
  if p_wanted ?| array['config', 'providers', 'intent_rules', 'alert_rules'] and crm_sync.caller_may_see(null) is not true then
    raise exception using errcode = 'CS061', message = 'what holds for all organizations is not yours to look at', hint = 'Ask as a member of crm_sync_reader or crm_sync_owner.';
  end if;

  -- the CRMs
  for v in
    select n.key as name, n.value as named, p as provider
    from jsonb_each(p_wanted -> 'providers') as n
    left join public.integration_providers as p on p.name = n.key
    union all
    select p.name, '{}', p from public.integration_providers as p
    where p_prune and p_wanted ? 'providers' and not p_wanted -> 'providers' ? p.name
  loop
    if (v.provider).id is null then
      raise exception using errcode = 'CS061', message = format('providers.%s: there is no such CRM', crm_sync.path_key(v.name)),
        hint = 'Nothing was changed. The CRMs there are: select name from public.integration_providers.';
    end if;
    return query
    select 1, 'provider', null::uuid, v.name, (v.provider).id, 'providers.' || crm_sync.path_key(v.name),
      jsonb_build_object('is_active', (v.provider).is_active, 'config', (v.provider).config),
      jsonb_build_object(
        'is_active', coalesce(v.named -> 'is_active', to_jsonb((v.provider).is_active or p_prune)),
        'config', case when p_prune then (v.provider).shipped_config || crm_sync.kept_secrets((v.provider).config) else (v.provider).config end
          || coalesce(v.named -> 'config', '{}'));
  end loop;

  -- the whole system's settings; each is read as the column's type, so that 336:00:00 and 14 days can be told to be the same or not
  if p_wanted ? 'config' then
    v_named := '{}';
    for v in select n.key as name, n.value as named from jsonb_each(p_wanted -> 'config') as n loop
      if v.name = 'is_only' or not to_jsonb(v_config) ? v.name then
        raise exception using errcode = 'CS060', message = format('config.%s: there is no such setting', crm_sync.path_key(v.name)),
          hint = format('Nothing was changed. There are %s.', (select string_agg(k, ', ' order by k) from jsonb_object_keys(to_jsonb(v_config) - 'is_only') as k));
      end if;
      begin
        v_named := v_named || jsonb_build_object(v.name, to_jsonb(jsonb_populate_record(v_config, jsonb_build_object(v.name, v.named))) -> v.name);
      exception when data_exception then
        raise exception using errcode = 'CS062', message = format('config.%s: %s', v.name, sqlerrm), hint = 'Nothing was changed.';
      end;
    end loop;
    return query select 2, 'config', null::uuid, 'config', null::bigint, 'config', to_jsonb(v_config) - 'is_only', (to_jsonb(v_config) - 'is_only') || v_named;
  end if;

  -- rules, of everybody and of organizations
  for v in
    select o.key as id, o.value as named from jsonb_each(p_wanted -> 'organizations') as o
    where not exists (select from public.organizations as x where x.id = o.key::uuid and crm_sync.caller_may_see(x.id))
  loop
    raise exception using errcode = 'CS061', message = format('organizations.%s: there is no such organization', v.id),
      hint = 'Nothing was changed. The organizations there are: select id, name from public.organizations.';
  end loop;
  return query
  with named as (
    select null::uuid as organization_id, r.key as intent, r.value as named from jsonb_each(p_wanted -> 'intent_rules') as r
    union all
    select o.key::uuid, r.key, r.value
    from jsonb_each(p_wanted -> 'organizations') as o
    cross join lateral jsonb_each(coalesce(o.value -> 'intent_rules', '{}')) as r
  ),
  present as (
    select r.* from crm_sync.intent_rules as r
    where (r.organization_id is null and p_wanted ? 'intent_rules')
      or r.organization_id in (select o.key::uuid from jsonb_each(p_wanted -> 'organizations') as o)
  )
  select 3, 'intent_rule', coalesce(n.organization_id, p.organization_id), coalesce(n.intent, p.intent), p.id,
    coalesce('organizations.' || coalesce(n.organization_id, p.organization_id) || '.', '') || 'intent_rules.' || crm_sync.path_key(coalesce(n.intent, p.intent)),
    case when p.id is not null then jsonb_build_object('contact_status', p.contact_status, 'create_deal', p.create_deal) end,
    case
      when n.intent is null then case when not p_prune then jsonb_build_object('contact_status', p.contact_status, 'create_deal', p.create_deal) end
      when jsonb_typeof(n.named) = 'object' then jsonb_build_object('contact_status', n.named -> 'contact_status', 'create_deal', coalesce(n.named -> 'create_deal', 'false'))
    end
  from named as n
  full join present as p on p.organization_id is not distinct from n.organization_id and p.intent = n.intent;

  -- rules of alerts: an organization's own has what the common one of its name will have, but for what it says itself
  for v in
    with named as (
      select null::uuid as organization_id, r.key as name, r.value as named from jsonb_each(p_wanted -> 'alert_rules') as r
      union all
      select o.key::uuid, r.key, r.value
      from jsonb_each(p_wanted -> 'organizations') as o
      cross join lateral jsonb_each(coalesce(o.value -> 'alert_rules', '{}')) as r
    ),
    present as (
      select r as rule, r.organization_id, r.name from crm_sync.alert_rules as r
      where (r.organization_id is null and p_wanted ? 'alert_rules')
        or r.organization_id in (select o.key::uuid from jsonb_each(p_wanted -> 'organizations') as o)
    )
    select coalesce(n.organization_id, p.organization_id) as organization_id, coalesce(n.name, p.name) as name, n.name is not null as is_named, n.named,
      (p.rule).id as id, to_jsonb(p.rule) - array['id', 'organization_id', 'name'] as present,
      coalesce('organizations.' || coalesce(n.organization_id, p.organization_id) || '.', '') || 'alert_rules.' || crm_sync.path_key(coalesce(n.name, p.name)) as path
    from named as n
    full join present as p on p.organization_id is not distinct from n.organization_id and p.name = n.name
  loop
    if v.is_named then
      select r.* into v_common from crm_sync.alert_rules as r where r.organization_id is null and r.name = v.name and v.organization_id is not null;
      v_named := case when v.organization_id is not null then coalesce(nullif(p_wanted #> array['alert_rules', v.name], 'null'), '{}') else '{}' end;
      begin
        v_named := to_jsonb(jsonb_populate_record(null::crm_sync.alert_rules,
          '{"for_at_least": "0 seconds", "clear_after": "1 minute", "is_active": true}'::jsonb || jsonb_build_object('condition', v.name)
            || case when v_common.id is null then '{}' else to_jsonb(v_common) end || v_named || coalesce(v.present, '{}')
            || coalesce(nullif(v.named, 'null'), '{}'))) - array['id', 'organization_id', 'name'];
      exception when data_exception then
        raise exception using errcode = 'CS062', message = format('%s: %s', v.path, sqlerrm), hint = 'Nothing was changed.';
      end;
    end if;
    return query
    select 4, 'alert_rule', v.organization_id, v.name, v.id, v.path, v.present,
      case when not v.is_named then case when not p_prune then v.present end when v.named <> 'null' then v_named end;
  end loop;

  -- connections
  for v in
    select o.key::uuid as organization_id, c.key as name, c.value as named, i as connection, p.name as provider,
      format('organizations.%s.connections.%s', o.key::uuid, crm_sync.path_key(c.key)) as path
    from jsonb_each(p_wanted -> 'organizations') as o
    cross join lateral jsonb_each(coalesce(o.value -> 'connections', '{}')) as c
    left join public.integration_providers as p on p.name = split_part(c.key, '/', 1)
    left join public.user_integrations as i on i.organization_id = o.key::uuid and i.provider_id = p.id and i.name = substr(c.key, strpos(c.key, '/') + 1) and c.key like '%/%'
  loop
    if (v.connection).id is null then
      raise exception using errcode = 'CS061', message = v.path || ': there is no such connection',
        hint = format('Nothing was changed. Connect it first: crm-sync connect %s --organization %s --name %s',
          coalesce(v.provider, 'PROVIDER'), v.organization_id, case when v.name like '%/%' then quote_ident(substr(v.name, strpos(v.name, '/') + 1)) else 'default' end);
    end if;
    return query
    select 5, 'connection', v.organization_id, v.name, (v.connection).id, v.path,
      jsonb_build_object('sync_frequency', (v.connection).sync_frequency, 'sync_settings', (v.connection).sync_settings,
        'field_mappings', (v.connection).field_mappings, 'sync_filters', (v.connection).sync_filters),
      jsonb_build_object(
        'sync_frequency', coalesce(v.named ->> 'sync_frequency', case when p_prune then 'realtime' else (v.connection).sync_frequency end),
        'sync_settings', s.settings,
        'field_mappings', coalesce(v.named -> 'field_mappings', case when p_prune then '{}' else (v.connection).field_mappings end),
        'sync_filters', coalesce(v.named -> 'sync_filters', case when p_prune then '{}' else (v.connection).sync_filters end))
    from (
      -- the defaults as they will be, should the document change them
      select crm_sync.default_sync_settings(null) || coalesce(p_wanted #> array['providers', v.provider, 'config', 'default_settings'],
        case when p_prune and p_wanted ? 'providers' then p.shipped_config else p.config end -> 'default_settings', '{}') as settings
      from public.integration_providers as p
      where p.id = (v.connection).provider_id
    ) as d
    cross join lateral (
      select coalesce(v.named -> 'sync_settings', '{}') as settings
    ) as n
    cross join lateral (
      select case
        when p_prune then d.settings || n.settings || crm_sync.kept_secrets((v.connection).sync_settings)
        when (v.connection).sync_settings || n.settings <> (v.connection).sync_settings then d.settings || (v.connection).sync_settings || n.settings
        else (v.connection).sync_settings
      end as settings
    ) as s;
  end loop;
end;
$$;
comment on function crm_sync.weigh_configuration(jsonb, boolean) is
  'Operator: what a document of settings is about, thing by thing: as it is and as it is wanted; null is a thing that is not there.';
