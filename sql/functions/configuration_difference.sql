create or replace function crm_sync.configuration_difference(p_wanted jsonb, p_prune boolean default false)
returns table (path text, before jsonb, after jsonb)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select concat_ws('.', w.path, nullif(d.path, '')), d.before, d.after
  from crm_sync.weigh_configuration(p_wanted, p_prune) as w
  cross join lateral crm_sync.json_difference(w.present, w.wanted) as d
  where w.present is distinct from w.wanted
  order by w.place, 1
$$;
comment on function crm_sync.configuration_difference(jsonb, boolean) is
  'Reader: what crm_sync.apply_configuration() would change, path by path; nothing is changed or locked.';
