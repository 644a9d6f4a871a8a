create or replace function crm_sync.diagnose_work()
returns table (severity text, area text, subject text, finding text, what_to_do text, integration_id bigint, organization_id uuid)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  with moment as materialized (
    select clock_timestamp() as now, crm_sync.schema_version()
  ),
  daemons as materialized (
    select d.*, crm_sync.is_alive(d.last_seen_at), d.host || ' pid ' || d.pid as name from crm_sync.daemons as d
  ),
  providers as materialized (
    -- a document of a provider is opened once, not for each connection
    select p.*, p.config -> 'default_settings' -> 'deal_pipeline' as deal_pipeline, p.config -> 'default_settings' -> 'deal_stage' as deal_stage
    from public.integration_providers as p
  ),
  connections as materialized (
    select i.organization_id, i.id, i.name, i.status, i.last_error, i.updated_at, p.name as provider, p.display_name, p.is_active, p.config,
      i.sync_settings, i.field_mappings,
      -- each by its name: to reach into a row of this width costs more than all else that is asked of it
      l.connected_at, l.errors, l.failures, l.last_claimed_at, l.last_success_at, l.other_account, l.parked_kind, l.parked_reason, l.parked_until,
      l.paused_at, l.paused_by, l.paused_reason, l.paused_scope,
      p.name || ' ' || to_jsonb(i.name) as title,
      i.field_mappings <> '{}' or i.sync_settings ? 'status_values'
        or (i.sync_settings -> 'deal_pipeline', i.sync_settings -> 'deal_stage') is distinct from (p.deal_pipeline, p.deal_stage) as has_chosen
    from public.user_integrations as i
    join providers as p on p.id = i.provider_id
    join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
  )
  -- workers
  select 'error', 'workers', 'daemons', 'work waits, and no daemon is alive', 'Start one: crm-sync run, or systemctl start crm-sync', null::bigint, null::uuid
  where not exists (select from daemons as d where d.is_alive)
    and exists (
      select from connections as c
      cross join lateral (select from public.sync_queue as q where q.integration_id = c.id and q.completed_at is null limit 1) as q
    )
  union all
  select 'warning', 'workers', d.name, format('this daemon has not been seen since %s', to_char(d.last_seen_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS "UTC"')),
    'Look at its log. If it was killed: nothing, its work is taken over and this entry goes within ten minutes.', null, null
  from daemons as d
  where not d.is_alive
  union all
  select 'warning', 'workers', 'doorbell', 'no daemon listens: new work is found by polling only',
    'CRM_SYNC_LISTEN must be true, and the way to the database must allow LISTEN (a pooler in transaction mode does not).', null, null
  where exists (select from daemons as d where d.is_alive) and not exists (select from daemons as d where d.is_alive and d.listening)
  union all
  select 'warning', 'workers', format('batch %s', b.id), format('the lease of %s row(s) ended %s ago and nobody has taken them over', cardinality(b.row_ids), date_trunc('second', m.now - b.lease_until)),
    'A daemon that is alive does so with its next claim, unless the connection is paused or left alone.', b.integration_id, b.organization_id
  from crm_sync.batches as b
  cross join moment as m
  where b.lease_until < m.now - interval '1 minute'
  -- versions
  union all
  select 'warning', 'versions', 'daemons', 'daemons of different versions are at work: ' || string_agg(distinct d.version, ', '), 'Upgrade those that are behind: select host, pid, version, schema_version from crm_sync.workers', null, null
  from daemons as d
  where d.is_alive
  having count(distinct d.version) > 1
  union all
  select 'warning', 'versions', d.name,
    case when d.schema_version > m.schema_version
      then format('this daemon (%s) is newer than the schema: it was made for %s, and the schema is at %s', d.version, d.schema_version, m.schema_version)
      else format('this daemon (%s) is older than the schema: it was made for %s, and the schema is at %s', d.version, coalesce(d.schema_version::text, 'an earlier one'), m.schema_version)
    end,
    case when d.schema_version > m.schema_version then 'Migrate with the version of the newest daemon: crm-sync migrate'
      else 'Restart it in the version that migrated last: it goes on, but what has come since (erasures in the CRM, claims whose answer was lost) waits or takes longer with it.'
    end, null, null
  from daemons as d
  cross join moment as m
  where d.is_alive and d.schema_version is distinct from m.schema_version
  -- the clock
  union all
  select 'error', 'clock', 'database', format('something happened in the future (%s): the clock of the database was set back', to_char(f.at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS "UTC"')),
    'Have the server''s clock set by NTP or chrony. What waits for that time waits too long.', null, null
  from (
    select max(x.at) as at
    from (
      select max(d.last_seen_at) as at from daemons as d
      union all
      select max(greatest(c.last_claimed_at, c.last_success_at)) from connections as c
    ) as x
  ) as f
  cross join moment as m
  where f.at > m.now + interval '1 minute'
  union all
  select case when abs(extract(epoch from d.clock_offset)) < 60 then 'warning' else 'error' end, 'clock', d.name,
    format('the clock of this daemon''s host is %s s %s the database''s: it refreshes tokens, wakes for slots and waits for the CRMs'' limits that much too %s',
      round(abs(extract(epoch from d.clock_offset)), 1), case when d.clock_offset > interval '0' then 'ahead of' else 'behind' end,
      case when d.clock_offset > interval '0' then 'early' else 'late' end),
    'Have the clocks of ' || d.host || ' and of the database''s server set by NTP or chrony (timedatectl). If all daemons are off by the same, it is the database''s that is wrong.',
    null, null
  from daemons as d
  where d.is_alive and abs(extract(epoch from d.clock_offset)) > 2
  -- connections
  union all
  select case when c.paused_scope = 'everything' or m.now - c.paused_at > interval '1 day' then 'warning' else 'info' end, 'connections', c.title,
    format('paused since %s by %s (%s)%s', to_char(c.paused_at at time zone 'utc', 'YYYY-MM-DD HH24:MI "UTC"'), crm_sync.who_words(c.paused_by),
      coalesce(c.paused_scope, 'by hand'), coalesce(': ' || c.paused_reason, '')),
    case c.paused_scope
      when 'everything' then 'select crm_sync.resume_all(''everything'')'
      when 'provider' then format('select crm_sync.resume_all(''provider'', %L)', c.provider)
      when 'organization' then format('select crm_sync.resume_all(''organization'', %L)', c.organization_id)
      else format('select crm_sync.resume(%s)', c.id)
    end || ', when it may go on', c.id, c.organization_id
  from connections as c
  cross join moment as m
  where c.paused_at is not null
  union all
  select 'error', 'connections', c.title, 'it waits for a person: ' || coalesce(c.last_error, 'see its status'),
    case when c.other_account is not null then format('Connect the former account again, or: select crm_sync.adopt_account(%s, …)', c.id)
      else format('Connect it again, or mend the cause in the CRM and: select crm_sync.try_again(%s)', c.id) end, c.id, c.organization_id
  from connections as c
  where c.status = 'error'
  union all
  select 'warning', 'connections', c.title,
    format('left alone until %s (%s) after %s batch(es) in a row without success: %s', to_char(c.parked_until at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS "UTC"'),
      c.parked_kind, c.errors, coalesce(c.parked_reason, 'no reason given')),
    case c.parked_kind when 'rate_limited' then 'Nothing: it goes on then. Should it happen daily: select * from crm_sync.budget_use.'
      else format('Look whether the CRM is up; then, to ask it at once: select crm_sync.sync_now(%s)', c.id) end, c.id, c.organization_id
  from connections as c
  cross join moment as m
  where c.status in ('connected', 'syncing') and c.parked_until > m.now
    and (c.parked_until > m.now + interval '10 minutes' or c.failures > 5 or coalesce(c.last_success_at, '-infinity') < m.now - interval '1 hour')
  union all
  select 'warning', 'connections', c.title, format('the CRM %s is switched off for all organizations, and this one is connected', c.provider),
    format('update public.integration_providers set is_active = true where name = %L', c.provider), c.id, c.organization_id
  from connections as c
  where c.status in ('connected', 'syncing') and not c.is_active
  -- mappings against the schema of the CRM
  union all
  select 'error', 'mappings', c.title, f.problem, 'Mend the rule or the setting, or add the field or the value in the CRM: select field_mappings, sync_settings from public.user_integrations.',
    c.id, c.organization_id
  from connections as c
  cross join lateral crm_sync.mapping_faults(c.organization_id, c.id, c.display_name, c.config, c.sync_settings, c.field_mappings) as f
  where c.status <> 'disconnected' and c.has_chosen
    and f.setting is distinct from 'lead_source' -- left out where the CRM does not know it
  union all
  select 'info', 'mappings', c.title, 'what fields the CRM has is not known, so mappings could not be held against them',
    'Nothing, right after connecting: the first batch reads them.', c.id, c.organization_id
  from connections as c
  cross join moment as m
  where c.status in ('connected', 'syncing') and c.is_active and c.connected_at < m.now - interval '1 hour'
    and not exists (select from crm_sync.crm_fields as d where d.organization_id = c.organization_id and d.integration_id = c.id)
  union all
  select 'info', 'mappings', c.title, format('the rule for %s has never anything to send: none of %s contacts has a %s', to_jsonb(r.rule ->> 'to'), k.looked_at, to_jsonb(r.rule ->> 'from')),
    'Fill the column in the host application, or take the rule out.', c.id, c.organization_id
  from (select * from connections as c where c.status <> 'disconnected' and c.field_mappings <> '{}' order by c.updated_at desc limit 50) as c
  cross join lateral (
    select s.facts, s.looked_at
    from (
      select jsonb_agg(to_jsonb(k)) as facts, count(*) as looked_at
      from (select k from public.contacts as k where k.organization_id = c.organization_id limit 100) as k (k)
    ) as s
    where s.looked_at >= 10
  ) as k
  cross join lateral jsonb_each(c.field_mappings) as o (object, rules)
  cross join lateral jsonb_array_elements(case when jsonb_typeof(o.rules) = 'array' then o.rules else '[]' end) as r (rule)
  where o.object in ('contact', 'lead') and k.facts -> 0 ? (r.rule ->> 'from')
    and not exists (select from jsonb_array_elements(k.facts) as f (fact) where btrim(f.fact ->> (r.rule ->> 'from')) <> '')
  -- work
  union all
  select 'warning', 'queue', 'orphans', format('%s classification(s) of messages that do not exist have waited for more than an hour', case when o.many > 1000 then 'more than 1000' else o.many::text end),
    'The host application must insert the message as well: select * from crm_sync.orphans', null, null
  from (
    select count(*) as many
    from (select from crm_sync.orphans as o cross join moment as m where o.seen_at < m.now - interval '1 hour' limit 1001) as x
  ) as o
  where o.many > 0
  union all
  select 'info', 'queue', c.title, 'rows have failed here and wait for a person', format('select * from crm_sync.failures where integration_id = %s; mend the cause, then: select crm_sync.retry_failed(%s)', c.id, c.id),
    c.id, c.organization_id
  from connections as c
  cross join lateral (
    select from public.sync_queue as q where q.integration_id = c.id and q.completed_at is not null and q.failure is not null limit 1 -- found, not counted
  ) as q
  -- keys and the fence
  union all
  select 'info', 'keys', string_agg(k.key_id, ', '), 'credentials are sealed with more than one key', 'Seal all of them with the newest: crm-sync reseal', null, null
  from (select distinct split_part(i.credentials, ':', 3) as key_id from public.user_integrations as i where i.credentials is not null) as k
  having count(*) > 1
  union all
  select 'error', 'fence', 'database', case when f.is_only is null then 'nobody has claimed this database: no daemon works here'
      else 'this database is a copy of the one that may write to the CRMs: no daemon works here' end,
    'If the CRMs are to be written from here, and no daemon works on the original any more: crm-sync claim-database', null, null
  from crm_sync.database_identity() as h
  left join crm_sync.fence as f on true
  where not pg_catalog.pg_is_in_recovery() and (f.system_identifier, f.database_oid) is distinct from (h.system_identifier, h.database_oid);
end;
$$;
comment on function crm_sync.diagnose_work() is 'Reader: the part of crm_sync.diagnose() about daemons, connections, mappings, rows, keys and the fence.';
