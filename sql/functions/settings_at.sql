create or replace function crm_sync.settings_at(p_integration_id bigint, p_at timestamptz default clock_timestamp())
returns table (setting text, value jsonb, changed_at timestamptz, changed_by text)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  with connection as (
    select c.*
    from crm_sync.changes as c
    where c.what = 'connection' and c.key = p_integration_id::text and c.changed_at <= p_at
    order by c.id desc
    limit 1
  ),
  things as (
    select c.what, c.key, c.organization_id, null::text as prefix, c.new as settings
    from connection as c
    where c.action <> 'delete' and crm_sync.caller_may_see(c.organization_id)
    union all
    select r.*
    from connection as c
    cross join lateral (
      -- an organization's own rule goes before the common one
      select distinct on (l.key) l.what, l.key, l.organization_id, 'intent_rules', jsonb_build_object(l.key, l.new)
      from (
        select distinct on (x.key, x.organization_id) x.*
        from (
          select * from crm_sync.changes as o where o.organization_id = c.organization_id
          union all
          select * from crm_sync.changes as o where o.organization_id is null
        ) as x
        where x.what = 'intent_rule' and x.changed_at <= p_at
        order by x.key, x.organization_id, x.id desc
      ) as l
      where l.action <> 'delete'
      order by l.key, l.organization_id nulls last
    ) as r
    where c.action <> 'delete' and crm_sync.caller_may_see(c.organization_id)
    union all
    select p.*
    from connection as c
    cross join lateral (
      select x.what, x.key, x.organization_id, 'provider', x.new
      from crm_sync.changes as x
      where x.what = 'provider' and x.key = split_part(c.name, '/', 1) and x.changed_at <= p_at
      order by x.id desc
      limit 1
    ) as p
    where c.action <> 'delete' and crm_sync.caller_may_see(c.organization_id)
  ),
  settings as (
    select t.what, t.key, t.organization_id, t.prefix,
      case when t.what = 'intent_rule' then null else concat_ws('.', s.key, crm_sync.path_key(d.key)) end as path,
      concat_ws('.', t.prefix, s.key, crm_sync.path_key(d.key)) as setting,
      coalesce(d.value, s.value) as value
    from things as t
    cross join lateral jsonb_each(t.settings) as s
    left join lateral jsonb_each(case when jsonb_typeof(s.value) = 'object' and t.what <> 'intent_rule' then s.value else '{}' end) as d on true
  )
  select s.setting, s.value, h.changed_at, h.changed_by
  from settings as s
  cross join lateral (
    -- the newest entry that names it; where that is purged, the oldest there is
    select x.changed_at, x.changed_by
    from (
      select * from crm_sync.changes as o where o.what = s.what and o.key = s.key and o.organization_id = s.organization_id
      union all
      select * from crm_sync.changes as o where s.organization_id is null and o.what = s.what and o.key = s.key and o.organization_id is null
    ) as x
    cross join lateral (
      select x.action = 'insert' or s.path is null or exists (
        select from jsonb_object_keys(x.difference) as k (path)
        where k.path = s.path or starts_with(k.path, s.path || '.') or starts_with(s.path, k.path || '.')
      ) as names_it
    ) as n
    where x.changed_at <= p_at
    order by n.names_it desc, case when n.names_it then -x.id else x.id end
    limit 1
  ) as h
  order by s.prefix nulls first, s.setting;
end;
$$;
comment on function crm_sync.settings_at(bigint, timestamptz) is
  'Reader: what was in force for a connection at a time: its settings, mappings and filters, the rules of intents, the CRM''s config; each with since when and by whom.';
