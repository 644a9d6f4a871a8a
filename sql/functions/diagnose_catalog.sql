-- What the catalogs and the statistics tell: read, never counted.
create or replace function crm_sync.diagnose_catalog()
returns table (severity text, area text, subject text, finding text, what_to_do text, integration_id bigint, organization_id uuid)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  with partitions as materialized (
    select p.begins_at, p.ends_at from crm_sync.log_partitions() as p
  ),
  indexes as (
    select e.schema_name, e.index_name, c.oid, i.indisvalid and i.indisready as is_valid
    from crm_sync.expected_indexes() as e
    left join pg_catalog.pg_class as c on c.relname = e.index_name and c.relnamespace = to_regnamespace(e.schema_name) and c.relkind in ('i', 'I')
    left join pg_catalog.pg_index as i on i.indexrelid = c.oid
  ),
  tables as (
    select c.oid, c.oid::regclass::text as name, c.reloptions, pg_catalog.pg_stat_get_live_tuples(c.oid) as n_live_tup,
      pg_catalog.pg_stat_get_dead_tuples(c.oid) as n_dead_tup
    from pg_catalog.pg_class as c
    where c.relkind = 'r' and (
      c.relnamespace = 'crm_sync'::regnamespace or c.oid in ('public.sync_queue'::regclass, 'public.contact_sync_mappings'::regclass, 'public.user_integrations'::regclass)
    )
  )
  select 'error', 'indexes', x.schema_name || '.' || x.index_name,
    case when x.oid is null then 'the index is missing' else 'the index is invalid: nothing is found by it' end,
    case when x.oid is null then 'Make it as its migration in sql/migrations does, with create index concurrently.'
      else format('reindex index concurrently %I.%I', x.schema_name, x.index_name) end,
    null::bigint, null::uuid
  from indexes as x
  where x.is_valid is not true
  union all
  select 'warning', 'vacuum', t.name,
    format('%s dead rows beside %s live ones; last vacuumed %s', t.n_dead_tup, t.n_live_tup, coalesce(
      to_char(greatest(pg_catalog.pg_stat_get_last_autovacuum_time(t.oid), pg_catalog.pg_stat_get_last_vacuum_time(t.oid)) at time zone 'utc', 'YYYY-MM-DD HH24:MI "UTC"'),
      'never')),
    'Look what holds the vacuum up (area sessions), then: vacuum (analyze) ' || t.name,
    null, null
  from tables as t
  where t.n_dead_tup > 20000 and t.n_dead_tup > 0.3 * t.n_live_tup
  union all
  select 'error', 'vacuum', t.name, 'autovacuum is switched off for this table', format('alter table %s reset (autovacuum_enabled)', t.name), null, null
  from tables as t
  where exists (select from unnest(t.reloptions) as o where o ~* '^autovacuum_enabled=(false|off|no|0)$')
  union all
  select 'error', 'vacuum', s.name,
    format('%s is off: %s', s.name, case s.name when 'autovacuum' then 'dead rows pile up until claims are slow' else 'autovacuum does not know what has changed' end),
    format('alter system set %s = on; select pg_reload_conf()', s.name), null, null
  from unnest(array['autovacuum', 'track_counts']) as s (name)
  where current_setting(s.name) = 'off'
  union all
  select 'warning', 'vacuum', d.datname, format('the oldest row is %s transactions old; at 2 billion the server stops writing', pg_catalog.age(d.datfrozenxid)),
    'Look what holds the vacuum up (area sessions), then: vacuum (freeze)', null, null
  from pg_catalog.pg_database as d
  where d.datname = current_database() and pg_catalog.age(d.datfrozenxid) > 1000000000
  union all
  select 'warning', 'log', 'sync_activity_logs', format('there is no partition for %s', to_char(d.day, 'YYYY-MM-DD')),
    'A running daemon makes them a week ahead; by hand: select crm_sync.make_log_partitions()', null, null
  from (select now() as day union all select now() + interval '1 day') as d
  where not exists (select from partitions as p where p.begins_at <= d.day and p.ends_at > d.day)
  union all
  select 'info', 'log', 'sync_activity_logs_default', 'entries of a time that had no partition lie in the default one',
    'Nothing: they are deleted when they are past retain_logs of crm_sync.config.', null, null
  where exists (select from public.sync_activity_logs_default);

  -- by the ways that lead on from the version that is installed: pg_available_extensions reads the files of all that there are
  begin
    return query
    select 'info', 'versions', e.extname::text, format('version %s is installed, %s is there', e.extversion, w.target),
      format('alter extension %I update', e.extname), null::bigint, null::uuid
    from pg_catalog.pg_extension as e
    cross join lateral (
      select u.target from pg_catalog.pg_extension_update_paths(e.extname) as u
      where u.source = e.extversion and u.path is not null
      order by length(u.path) desc
      limit 1
    ) as w
    where e.extname = 'pgcrypto';
  exception when feature_not_supported or undefined_file then
    null; -- its files are gone
  end;
end;
$$;
comment on function crm_sync.diagnose_catalog() is 'Reader: the part of crm_sync.diagnose() about indexes, vacuum, the log''s partitions and extensions.';
