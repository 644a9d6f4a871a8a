create or replace function crm_sync.mapping_rules(p_config jsonb, p_settings jsonb, p_mappings jsonb, p_object text) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  with own as (
    select r.rule from jsonb_array_elements(coalesce(p_mappings -> p_object, '[]')) as r (rule)
  ),
  rules as (
    select d.rule
    from jsonb_array_elements(coalesce(p_config -> 'field_mappings' -> p_object, '[]')) as d (rule)
    where not exists (select from own where own.rule ->> 'from' = d.rule ->> 'from' or own.rule ->> 'to' = d.rule ->> 'to')
    union all
    select own.rule from own where own.rule ->> 'to' is not null
  ),
  statuses as (
    select coalesce(p_config -> 'status_values', '{}') || coalesce(p_settings -> 'status_values', '{}') as value_of
  )
  select coalesce(jsonb_agg(
    case when r.rule ->> 'from' = 'status'
      then jsonb_build_object('values', s.value_of, 'only_mapped', true, 'ranks', (
        -- the CRM's values that mean as much as ours of the same rank, and ours: the connection may have named its own
        select jsonb_agg(
          coalesce(p_config -> 'status_ranks' -> g.rank, '[]')
          || (
            select coalesce(jsonb_agg(v.value), '[]')
            from jsonb_each(s.value_of) as v
            where crm_sync.status_rank(v.key) = g.rank and jsonb_typeof(v.value) = 'string'
          )
          order by g.rank
        )
        from generate_series(0, 2) as g (rank)
      )) || r.rule
      else r.rule
    end
  ), '[]')
  from rules as r
  cross join statuses as s
$$;
comment on function crm_sync.mapping_rules(jsonb, jsonb, jsonb, text) is 'Worker: the mapping in force for an object: the provider''s defaults, changed by the connection''s own rules.';
