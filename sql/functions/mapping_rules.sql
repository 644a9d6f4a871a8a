-- A default of ours that this account's CRM has no field or no option for is left out, so that a new connection works at once;
-- a rule that somebody chose stays as it is: what the CRM says of it is for them to read.
create or replace function crm_sync.mapping_rules(p_organization_id uuid, p_integration_id bigint, p_object text) returns jsonb
language sql stable
set search_path = ''
as $$
  with connection as materialized (
    select i.organization_id, i.id as integration_id, coalesce(p.config -> 'field_mappings' -> p_object, '[]') as defaults,
      coalesce(i.field_mappings -> p_object, '[]') as own, coalesce(p.config -> 'default_settings', '{}') as default_settings, i.sync_settings, coalesce(p.config -> 'status_ranks', '[]') as status_ranks,
      coalesce(p.config -> 'status_values', '{}') || coalesce(i.sync_settings -> 'status_values', '{}') as status_values,
      exists (
        select from crm_sync.crm_fields as f where f.organization_id = i.organization_id and f.integration_id = i.id and f.object = p_object
      ) as is_described
    from public.user_integrations as i
    join public.integration_providers as p on p.id = i.provider_id
    where i.organization_id = p_organization_id and i.id = p_integration_id
  ),
  own as (
    select r.rule from connection as x cross join lateral jsonb_array_elements(x.own) as r (rule)
  ),
  rules as (
    select d.rule || case
        -- a pipeline, a stage or the words for a status that somebody chose are theirs, by whichever rule they travel
        when d.rule ->> 'from' in ('pipeline', 'stage')
          and x.sync_settings -> ('deal_' || (d.rule ->> 'from')) is distinct from x.default_settings -> ('deal_' || (d.rule ->> 'from')) then '{}'::jsonb
        when d.rule ->> 'from' = 'status' and coalesce(x.sync_settings -> 'status_values', '{}') <> '{}' then '{}'::jsonb
        else '{"is_default": true}'
      end as rule
    from connection as x
    cross join lateral jsonb_array_elements(x.defaults) as d (rule)
    where not exists (select from own where own.rule ->> 'from' = d.rule ->> 'from' or own.rule ->> 'to' = d.rule ->> 'to')
    union all
    select own.rule from own where own.rule ->> 'to' is not null
  ),
  described as (
    select r.rule, x.status_ranks, x.is_described, f.name is not null and f.is_writable as is_there,
      f.is_closed, nullif(f.options, '[]') as options, x.status_values
    from rules as r
    cross join connection as x
    left join crm_sync.crm_fields as f
      on f.organization_id = x.organization_id and f.integration_id = x.integration_id and f.object = p_object and f.name = r.rule ->> 'to'
  ),
  chosen as (
    select d.*, s.value_of
    from described as d
    cross join lateral (
      -- of several words that mean a status, the first that this account has
      select coalesce(jsonb_object_agg(v.key, case when jsonb_typeof(v.value) <> 'array' then v.value else coalesce((
        select w.word
        from jsonb_array_elements(v.value) with ordinality as w (word, place)
        where d.options is null or exists (select from jsonb_array_elements(d.options) as o (option) where o.option -> 'value' = w.word)
        order by w.place
        limit 1
      ), v.value -> 0) end), '{}') as value_of
      from jsonb_each(d.status_values) as v
      where d.rule ->> 'from' = 'status'
    ) as s
  )
  select coalesce(jsonb_agg(
    case when c.rule ->> 'from' = 'status'
      then jsonb_build_object('values', c.value_of, 'only_mapped', true, 'ranks', (
        -- the CRM's values that mean as much as ours of the same rank, and ours: the connection may have named its own
        select jsonb_agg(
          coalesce(c.status_ranks -> g.rank, '[]')
          || (
            select coalesce(jsonb_agg(v.value), '[]')
            from jsonb_each(c.value_of) as v
            where crm_sync.status_rank(v.key) = g.rank and jsonb_typeof(v.value) = 'string'
          )
          order by g.rank
        )
        from generate_series(0, 2) as g (rank)
      ))
      when c.rule ->> 'policy' = 'forward_only' and c.options is not null
      -- a choice of the CRM's goes forward in the order in which people see its options
      then jsonb_build_object('ranks', (
        select jsonb_agg(jsonb_build_array(o.option ->> 'value') order by o.place)
        from jsonb_array_elements(c.options) with ordinality as o (option, place)
      ))
      else '{}'
    end
    || c.rule
    || case when c.options is null then '{}' else jsonb_build_object('is_closed', c.is_closed, 'options', (
        select jsonb_object_agg(lower(o.option ->> 'label'), o.option ->> 'value') || jsonb_object_agg(lower(o.option ->> 'value'), o.option ->> 'value')
        from jsonb_array_elements(c.options) as o (option)
        where o.option ->> 'label' is not null and o.option ->> 'value' is not null
      ), 'first_option', c.options -> 0 ->> 'value') end
  ), '[]')
  from chosen as c
  where c.is_there or not c.is_described or not c.rule ? 'is_default'
$$;
comment on function crm_sync.mapping_rules(uuid, bigint, text) is
  'Worker: the mapping in force for an object of a connection: the provider''s defaults as far as the CRM has their fields, changed by the connection''s own rules.';
