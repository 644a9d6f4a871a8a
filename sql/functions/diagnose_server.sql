-- With the rights of whoever asks: what other sessions do, the server shows to members of pg_read_all_stats only.
create or replace function crm_sync.diagnose_server()
returns table (severity text, area text, subject text, finding text, what_to_do text, integration_id bigint, organization_id uuid)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  with sessions as materialized (
    select a.pid, a.usename, a.application_name, a.state, a.xact_start, a.state_change, a.backend_type, a.backend_xmin,
      a.datname = current_database() as is_here, a.backend_xmin is not null and pg_catalog.age(a.backend_xmin) > 0 as pins
    from pg_catalog.pg_stat_activity as a
    where a.pid <> pg_catalog.pg_backend_pid()
  )
  select 'info', 'sessions', current_user::text, 'the sessions of others are hidden from you, so who holds up the vacuum is not looked at',
    format('grant pg_read_all_stats to %I', current_user), null::bigint, null::uuid
  where not pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage')
  union all
  select 'warning', 'sessions', 'pid ' || s.pid, format('%s (%s) has been idle in a transaction for %s and holds up the vacuum', s.usename,
      coalesce(nullif(s.application_name, ''), 'no name'), date_trunc('second', clock_timestamp() - s.state_change)),
    format('End the transaction, or: select pg_terminate_backend(%s); idle_in_transaction_session_timeout prevents it.', s.pid), null, null
  from sessions as s
  where s.is_here and s.state like 'idle in transaction%' and s.state_change < clock_timestamp() - interval '5 minutes'
  union all
  select 'warning', 'sessions', 'pid ' || s.pid, format('a statement of %s (%s) has held up the vacuum for %s', s.usename,
      coalesce(nullif(s.application_name, ''), 'no name'), date_trunc('second', clock_timestamp() - s.xact_start)),
    format('Wait for it, or: select pg_cancel_backend(%s)', s.pid), null, null
  from sessions as s
  where s.is_here and s.pins and s.state = 'active' and s.xact_start < clock_timestamp() - interval '30 minutes'
  union all
  select case when r.active then 'warning' else 'error' end, 'sessions', 'replication slot ' || r.slot_name,
    format('the slot %s and holds up the vacuum by %s transactions', case when r.active then 'lags' else 'is used by nobody' end,
      greatest(pg_catalog.age(r.xmin), pg_catalog.age(r.catalog_xmin))),
    case when r.active then 'Look at its replica: hot_standby_feedback and a long query there have this effect.'
      else format('select pg_drop_replication_slot(%L), if its replica is gone for good', r.slot_name) end, null, null
  from pg_catalog.pg_replication_slots as r
  where greatest(pg_catalog.age(r.xmin), pg_catalog.age(r.catalog_xmin)) > case when r.active then 1000000 else 100000 end
  union all
  select 'error', 'sessions', 'prepared transaction ' || x.gid, format('it has been prepared since %s, keeps its locks, and holds up the vacuum', to_char(x.prepared at time zone 'utc', 'YYYY-MM-DD HH24:MI "UTC"')),
    format('commit prepared %L, or rollback prepared %L', x.gid, x.gid), null, null
  from pg_catalog.pg_prepared_xacts as x
  where x.database = current_database() and x.prepared < clock_timestamp() - interval '5 minutes'
  union all
  select 'warning', 'sessions', 'max_connections', format('%s of %s connections are in use', c.used, c.allowed),
    'Raise max_connections or use a pooler; a daemon that finds none left cannot come back.', null, null
  from (
    select (select count(*) + 1 from sessions as s where s.backend_type = 'client backend') as used,
      current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer as allowed
  ) as c
  where c.used > 0.85 * c.allowed
  union all
  select 'warning', 'sessions', 'NOTIFY', format('the queue of notifications is %s %% full: from half on nobody is rung, and daemons find work by polling', round(100 * u.usage)),
    'Somebody has called LISTEN and keeps a transaction open: end it. The server''s log names the session; select pid, usename, xact_start from pg_stat_activity order by xact_start', null, null
  from (select pg_catalog.pg_notification_queue_usage() as usage) as u
  where u.usage >= 0.5
  union all
  select 'error', 'settings', s.name, s.name || ' is off: after a crash of the machine the database may be damaged', format('alter system set %s = on', s.name), null, null
  from unnest(array['fsync', 'full_page_writes']) as s (name)
  where current_setting(s.name) = 'off'
  union all
  select 'info', 'settings', 'synchronous_commit', 'synchronous_commit is off: what was committed in the last moment before a crash is lost, and sent again after it',
    'Nothing, if the host application can live with it; else: alter system set synchronous_commit = on', null, null
  where current_setting('synchronous_commit') = 'off'
  union all
  select case when v.major < 15 then 'error' else 'info' end, 'versions', 'PostgreSQL ' || current_setting('server_version'), 'this version of Postgres is not one that pg-crm-sync is tested on',
    case when v.major < 15 then 'Upgrade to 15 or newer.' else 'Nothing, if all works; 15 to 18 are tested.' end, null, null
  from (select current_setting('server_version_num')::integer / 10000 as major) as v
  where v.major not between 15 and 18;
end;
$$;
comment on function crm_sync.diagnose_server() is 'Reader: the part of crm_sync.diagnose() about sessions, settings and the server''s version.';
