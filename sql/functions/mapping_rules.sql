-- A default of ours that this account's CRM has no field or no option for is left out, so that a new connection works at once;
-- a rule that somebody chose stays as it is: what the CRM says of it is for them to read.
create or replace function crm_sync.mapping_rules(p_organization_id uuid, p_integration_id bigint, p_object text) returns crm_sync.mapping_rule[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v record;
begin
  select coalesce(p.config -> 'field_mappings' -> p_object, '[]') as defaults, coalesce(i.field_mappings -> p_object, '[]') as own,
    i.sync_settings, coalesce(p.config -> 'default_settings', '{}') as default_settings, coalesce(p.config -> 'status_ranks', '[]') as status_ranks,
    coalesce(i.sync_settings -> 'status_values', '{}') <> '{}' as has_status_values,
    coalesce(p.config -> 'status_values', '{}') || coalesce(i.sync_settings -> 'status_values', '{}') as status_values,
    exists (
      select from crm_sync.crm_fields as f where f.organization_id = i.organization_id and f.integration_id = i.id and f.object = p_object
    ) as is_described
  into v
  from public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id
  where i.organization_id = p_organization_id and i.id = p_integration_id;

  return (
    with rules as (
      select c.rule, case
          when c.is_own then false
          -- a pipeline, a stage or the words for a status that somebody chose are theirs, by whichever rule they travel
          when c.rule ->> 'from' in ('pipeline', 'stage')
            then v.sync_settings -> ('deal_' || (c.rule ->> 'from')) is not distinct from v.default_settings -> ('deal_' || (c.rule ->> 'from'))
          when c.rule ->> 'from' = 'status' then not v.has_status_values
          else true
        end as is_default
      from crm_sync.chosen_rules(v.defaults, v.own) as c
    )
    select array_agg((
      r.rule ->> 'to', r.rule ->> 'from', r.rule ->> 'value',
      coalesce(r.rule -> 'values', s.words), s.words is not null or coalesce(r.rule -> 'only_mapped' = 'true', false),
      crm_sync.option_words(f.options),
      case when r.is_default and r.rule -> 'or_first' = 'true' then f.options -> 0 ->> 'value' end,
      not (r.is_default and (f.is_closed or r.rule -> 'or_first' = 'true') is true),
      coalesce(r.rule ->> 'policy', 'always'),
      case when r.rule ->> 'policy' = 'forward_only'
        then coalesce(r.rule -> 'ranks', crm_sync.status_ranks(s.words, v.status_ranks), crm_sync.option_ranks(f.options)) end
    )::crm_sync.mapping_rule)
    from rules as r
    left join lateral (
      select f.is_writable, f.is_closed, nullif(f.options, '[]') as options from crm_sync.crm_fields as f
      where f.organization_id = p_organization_id and f.integration_id = p_integration_id and f.object = p_object and f.name = r.rule ->> 'to'
      offset 0
    ) as f on true
    cross join lateral (
      select case when r.rule ->> 'from' = 'status' then crm_sync.status_words(v.status_values, f.options) end as words
      offset 0
    ) as s
    where f.is_writable or not v.is_described or not r.is_default
  );
end;
$$;
comment on function crm_sync.mapping_rules(uuid, bigint, text) is
  'Worker: the mapping in force for an object of a connection: the provider''s defaults as far as the CRM has their fields, changed by the connection''s own rules.';
