-- All or nothing. What is compared is locked first, in the order in which everybody locks: nothing changes between the look and
-- the write. What the tables' own triggers and checks refuse is refused here, with the path.
create or replace function crm_sync.apply_configuration(p_wanted jsonb, p_prune boolean default false)
returns table (path text, before jsonb, after jsonb)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v record;
  v_organizations jsonb := case when crm_sync.configuration_problem(p_wanted) is null then coalesce(p_wanted -> 'organizations', '{}') else '{}' end;
  v_changed text;
  v_state text;
  v_message text;
  v_hint text;
begin
  perform from public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id
  join jsonb_each(v_organizations) as o on o.key::uuid = i.organization_id
  where o.value -> 'connections' ? (p.name || '/' || i.name)
  order by i.organization_id, i.id
  for no key update of i;
  perform from public.integration_providers as p where p_wanted ? 'providers' order by p.id for no key update;
  perform from crm_sync.intent_rules as r
  where (r.organization_id is null and p_wanted ? 'intent_rules') or r.organization_id in (select o.key::uuid from jsonb_each(v_organizations) as o)
  order by r.id
  for update;
  perform from crm_sync.alert_rules as r
  where (r.organization_id is null and p_wanted ? 'alert_rules') or r.organization_id in (select o.key::uuid from jsonb_each(v_organizations) as o)
  order by r.id
  for update;
  perform from crm_sync.config as c where p_wanted ? 'config' for update;

  for v in
    select * from crm_sync.weigh_configuration(p_wanted, p_prune) as w
    where w.present is distinct from w.wanted
    order by w.place, w.organization_id, w.path
  loop
    return query
    select concat_ws('.', v.path, nullif(d.path, '')), d.before, d.after from crm_sync.json_difference(v.present, v.wanted) as d order by 1;
    begin
      case v.what
        when 'provider' then
          update public.integration_providers as p
          set config = v.wanted -> 'config', is_active = (v.wanted ->> 'is_active')::boolean
          where p.id = v.row_id;
        when 'config' then
          execute (
            select format('update crm_sync.config as c set %s from jsonb_populate_record(null::crm_sync.config, $1) as r',
              string_agg(format('%1$I = r.%1$I', k.key), ', ' order by k.key))
            from jsonb_object_keys(v.wanted) as k (key)
          ) using v.wanted;
        when 'intent_rule' then
          if v.wanted is null then
            delete from crm_sync.intent_rules as r where r.id = v.row_id;
          else
            insert into crm_sync.intent_rules as r (organization_id, intent, contact_status, create_deal)
            values (v.organization_id, v.key, v.wanted ->> 'contact_status', (v.wanted ->> 'create_deal')::boolean)
            on conflict (organization_id, intent) do update set contact_status = excluded.contact_status, create_deal = excluded.create_deal;
          end if;
        when 'alert_rule' then
          if v.wanted is null then
            delete from crm_sync.alert_rules as r where r.id = v.row_id;
          else
            perform crm_sync.write_alert_rule(
              jsonb_populate_record(null::crm_sync.alert_rules, v.wanted || jsonb_build_object('organization_id', v.organization_id, 'name', v.key)));
          end if;
        when 'connection' then
          update public.user_integrations as i
          set sync_frequency = v.wanted ->> 'sync_frequency', sync_settings = v.wanted -> 'sync_settings',
            field_mappings = v.wanted -> 'field_mappings', sync_filters = v.wanted -> 'sync_filters'
          where i.organization_id = v.organization_id and i.id = v.row_id;
          select string_agg(d.path, ', ' order by d.path) into v_changed from crm_sync.json_difference(v.present, v.wanted) as d;
          insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
          values (v.organization_id, v.row_id, 'connection', 'info', 'Settings applied',
            format('%s changed by %s with a document of settings', left(v_changed, 1000), crm_sync.caller_name()));
      end case;
    exception when others then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text, v_hint = pg_exception_hint;
      raise exception using
        errcode = case when v_state like 'CS%' then v_state when v_state ~ '^(22|23)' then 'CS062' else v_state end,
        message = v.path || case when v_message ~ '^(sync_settings|field_mappings|sync_filters|name)(:| )' then '.' else ': ' end || v_message,
        hint = coalesce(nullif(v_hint, ''), 'Nothing was changed.');
    end;
  end loop;
end;
$$;
comment on function crm_sync.apply_configuration(jsonb, boolean) is
  'Operator: makes the settings what a document says, all or nothing, and nothing where nothing differs; returns what changed. True: what the document does not name, of what it names, goes back to its default.';
