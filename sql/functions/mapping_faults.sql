-- What the CRM, as it described itself last, would not take of a connection's own rules and settings, and what these name
-- of ours that is not there. Objects that were not described yet have no faults of the first kind. Read by the trigger, which
-- refuses what is newly at fault, and by the view of failures.
create or replace function crm_sync.mapping_faults(
  p_organization_id uuid, p_integration_id bigint, p_crm text, p_config jsonb, p_settings jsonb, p_mappings jsonb
)
returns table (setting text, object text, field text, value text, problem text, options jsonb)
language sql stable rows 1
set search_path = pg_catalog, pg_temp
as $$
  with own as (
    select o.key as object, r.rule, r.rule ->> 'from' as source, r.rule ->> 'to' as field
    from jsonb_each(case when jsonb_typeof(p_mappings) = 'object' then p_mappings else '{}' end) as o
    cross join lateral jsonb_array_elements(case when jsonb_typeof(o.value) = 'array' then o.value else '[]' end) as r (rule)
    where jsonb_typeof(r.rule) = 'object'
  ),
  places (setting, object, source) as (
    select s.setting, case when p_settings ->> 'contact_object' = 'lead' and p_config -> 'field_mappings' ? 'lead' then 'lead' else 'contact' end, s.source
    from (values ('status_values', 'status'), ('lead_source', 'lead_source')) as s (setting, source)
    union all
    values ('deal_pipeline', 'deal', 'pipeline'), ('deal_stage', 'deal', 'stage')
  ),
  -- where the values of settings go: by the connection's own rules, or by the provider's
  targets as (
    select p.setting, p.object, own.field, own.rule, true as is_own
    from places as p
    join own on own.object = p.object and own.source = p.source
    union all
    select p.setting, p.object, d.rule ->> 'to', d.rule, false
    from places as p
    cross join lateral jsonb_array_elements(coalesce(p_config -> 'field_mappings' -> p.object, '[]')) as d (rule)
    where d.rule ->> 'from' = p.source
      and not exists (select from own where own.object = p.object and (own.source = p.source or own.field = d.rule ->> 'to'))
  ),
  statuses as (
    select coalesce(p_config -> 'status_values', '{}') as defaults,
      case when jsonb_typeof(p_settings -> 'status_values') = 'object' then p_settings -> 'status_values' else '{}' end as own
  ),
  -- what would be sent: of several words for the same, one that the CRM knows is enough
  sent (setting, object, field, words) as (
    select null, o.object, o.field, array[o.rule ->> 'value'] from own as o where o.rule ? 'value'
    union all
    select null, o.object, o.field, array[v.value #>> '{}']
    from own as o
    cross join lateral jsonb_each(case when jsonb_typeof(o.rule -> 'values') = 'object' then o.rule -> 'values' else '{}' end) as v
    union all
    select t.setting, t.object, t.field, array[v.value #>> '{}']
    from targets as t
    cross join statuses as s
    cross join lateral jsonb_each(s.own) as v
    where t.setting = 'status_values' and not t.rule ? 'values'
    union all
    select null, t.object, t.field, array(
      select w.word from jsonb_array_elements_text(case when jsonb_typeof(v.value) = 'array' then v.value else jsonb_build_array(v.value) end) as w (word)
    )
    from targets as t
    cross join statuses as s
    cross join lateral jsonb_each(s.defaults) as v
    where t.setting = 'status_values' and t.is_own and not t.rule ? 'values' and not s.own ? v.key
    union all
    select t.setting, t.object, t.field, array[p_settings ->> t.setting]
    from targets as t
    where t.setting <> 'status_values' and not t.rule ? 'values'
      and not (t.setting <> 'lead_source' and lower(p_settings ->> t.setting) in ('default', lower(p_config -> 'default_settings' ->> t.setting)))
  )
  select null, o.object, o.field, null,
    case when f.name is null then format('%s has no %s field %s', p_crm, o.object, to_jsonb(o.field))
      else format('%s lets nobody write its %s field %s', p_crm, o.object, to_jsonb(o.field)) end,
    null::jsonb
  from own as o
  left join crm_sync.crm_fields as f
    on f.organization_id = p_organization_id and f.integration_id = p_integration_id and f.object = o.object and f.name = o.field
  where o.field is not null and (f.name is null or not f.is_writable)
    and exists (
      select from crm_sync.crm_fields as e where e.organization_id = p_organization_id and e.integration_id = p_integration_id and e.object = o.object
    )
  union all
  select null, o.object, o.field, o.source,
    format('we know nothing called %s of a %s: there are %s', to_jsonb(o.source), o.object, array_to_string(t.names[:60], ', ')
      || case when cardinality(t.names) > 60 then format(' and %s more', cardinality(t.names) - 60) else '' end),
    null
  from own as o
  cross join lateral (select crm_sync.our_fields(o.object) as names) as t
  where o.field is not null and o.source <> all (t.names)
  union all
  select distinct s.setting, s.object, s.field, s.words[1],
    format('the %s field %s of %s takes %s; not %s', s.object, to_jsonb(s.field), p_crm, crm_sync.option_list(f.options), to_jsonb(s.words[1])),
    f.options
  from sent as s
  join crm_sync.crm_fields as f
    on f.organization_id = p_organization_id and f.integration_id = p_integration_id and f.object = s.object and f.name = s.field
  where f.is_closed and f.options <> '[]' and btrim(s.words[1]) <> ''
    and not exists (
      select from unnest(s.words) as w (word)
      where not exists (
        select
        from unnest(case when f.type = 'multi_enum' then string_to_array(w.word, ';') else array[w.word] end) as e (each)
        where not exists (
          select from jsonb_array_elements(f.options) as o (option)
          where lower(btrim(e.each)) in (lower(o.option ->> 'value'), lower(o.option ->> 'label'))
        )
      )
    )
$$;
comment on function crm_sync.mapping_faults(uuid, bigint, text, jsonb, jsonb, jsonb) is
  'Reader: what the CRM would not take of the given rules and settings of a connection, by the fields that it described last.';
