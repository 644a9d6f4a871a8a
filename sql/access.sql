-- Who may call and see what, on one page. Applied last, and again after every change: what is not granted here is not granted.

-- everything of ours belongs to crm_sync_owner, and nobody has a right on it to begin with
do $$
declare
  v record;
begin
  execute format('grant usage, create on schema crm_sync to crm_sync_owner');
  for v in
    select format('alter %s %s owner to crm_sync_owner', case c.relkind when 'v' then 'view' else 'table' end, c.oid::regclass) as command
    from pg_catalog.pg_class as c
    where c.relkind in ('r', 'p', 'v') and pg_catalog.pg_get_userbyid(c.relowner) <> 'crm_sync_owner' and (
      c.relnamespace = 'crm_sync'::regnamespace
      or (c.relnamespace = 'public'::regnamespace and (
        c.relname in ('integration_providers', 'user_integrations', 'contact_sync_mappings', 'sync_queue', 'sync_activity_logs')
        or c.relname ~ '^sync_activity_logs_(default|\d{4}_\d{2}(_\d{2})?)$'
      ))
    )
    union all
    select format('alter function %s owner to crm_sync_owner', p.oid::regprocedure)
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'crm_sync'::regnamespace and pg_catalog.pg_get_userbyid(p.proowner) <> 'crm_sync_owner'
  loop
    execute v.command;
  end loop;
  for v in
    select format('revoke all on %s from public, crm_sync_daemon, crm_sync_console, crm_sync_producer, crm_sync_reader, authenticated, anon', c.oid::regclass) as command
    from pg_catalog.pg_class as c
    where c.relkind in ('r', 'p', 'v') and (
      c.relnamespace = 'crm_sync'::regnamespace
      or (c.relnamespace = 'public'::regnamespace and (
        c.relname in ('integration_providers', 'user_integrations', 'contact_sync_mappings', 'sync_queue', 'sync_activity_logs')
        or c.relname ~ '^sync_activity_logs_(default|\d{4}_\d{2}(_\d{2})?)$'
      ))
    )
    union all
    select format('revoke all on function %s from public, crm_sync_daemon, crm_sync_console, crm_sync_producer, crm_sync_reader, authenticated, anon', p.oid::regprocedure)
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'crm_sync'::regnamespace
  loop
    execute v.command;
  end loop;
end;
$$;
-- for all schemas: what is given by default cannot be taken away for one schema alone
alter default privileges for role crm_sync_owner revoke execute on functions from public;
revoke all on schema crm_sync from public, anon;

-- the owner's functions: what they read of the host application, and the log partitions they make
grant usage, create on schema public to crm_sync_owner;
grant usage on schema auth to crm_sync_owner, authenticated, crm_sync_reader, crm_sync_daemon;
grant select on public.organizations, public.users, public.contacts, public.inbox_messages, public.message_classifications to crm_sync_owner;
do $$
declare
  v_schema text := (
    select n.nspname from pg_catalog.pg_extension as e join pg_catalog.pg_namespace as n on n.oid = e.extnamespace where e.extname = 'pgcrypto');
begin
  execute format('grant usage on schema %I to crm_sync_owner', v_schema);
end;
$$;

-- producers: one table, one verb
grant usage on schema public to crm_sync_producer;
grant insert on public.message_classifications to crm_sync_producer;

-- the daemon: the worker's functions, no table
grant usage on schema crm_sync to crm_sync_daemon;
grant execute on function
  crm_sync.schema_version(),
  crm_sync.verify_key(),
  crm_sync.register_worker(uuid, text, integer, text, boolean, integer),
  crm_sync.unregister_worker(uuid),
  crm_sync.beat(uuid, interval),
  crm_sync.arm_worker(uuid),
  crm_sync.disarm_worker(uuid),
  crm_sync.ring_worker(uuid),
  crm_sync.tell_listeners(text, text),
  crm_sync.current_xmax(),
  crm_sync.older_transactions_run(text),
  crm_sync.claim_batch(uuid, integer, bigint[], interval, jsonb, uuid),
  crm_sync.read_batch(bigint),
  crm_sync.finish_batch(bigint, jsonb),
  crm_sync.release_batch(bigint),
  crm_sync.release_claim(uuid, uuid[]),
  crm_sync.extend_leases(uuid, bigint[], interval),
  crm_sync.spend_budget(bigint, jsonb, interval, bigint, jsonb),
  crm_sync.mark_schema_ready(bigint, boolean, jsonb, bigint),
  crm_sync.store_crm_fields(bigint, jsonb),
  crm_sync.open_credentials(bigint),
  crm_sync.begin_refresh(bigint, bigint, interval),
  crm_sync.end_refresh(bigint),
  crm_sync.store_credentials(bigint, bigint, text),
  crm_sync.adopt_orphans(integer),
  crm_sync.make_log_partitions(interval),
  crm_sync.drop_log_partitions(),
  crm_sync.purge(timestamptz, integer),
  crm_sync.purge_remains(integer),
  crm_sync.advance_slots(),
  crm_sync.heal_pauses(),
  crm_sync.queue_depths(integer),
  crm_sync.connection_counts(),
  crm_sync.day_budgets(integer),
  crm_sync.headline(integer),
  crm_sync.take_samples(),
  crm_sync.take_tallies(),
  crm_sync.reset_counters(bigint),
  crm_sync.pause(bigint),
  crm_sync.disconnect(bigint),
  crm_sync.resume(bigint),
  crm_sync.try_again(bigint),
  crm_sync.retry_failed(bigint, text, interval, timestamptz),
  crm_sync.retry_cause(bigint, text, text, text, text, text),
  crm_sync.sync_now(bigint),
  crm_sync.rows_at_once(),
  crm_sync.manual_sync(uuid, uuid[]),
  crm_sync.pause_all(text, text, text),
  crm_sync.resume_all(text, text),
  crm_sync.cancel(bigint, uuid, bigint[], text, boolean),
  crm_sync.reprioritize(integer, bigint, uuid, bigint[]),
  crm_sync.backfill(bigint, jsonb, integer, uuid),
  crm_sync.resync(uuid, bigint),
  crm_sync.purge_now(interval, bigint, integer),
  crm_sync.erase_contact(uuid, boolean, text, text[]),
  crm_sync.lift_erasure(uuid)
to crm_sync_daemon;
-- the life of a token, keys, the fence
grant execute on function
  crm_sync.idle_connections(integer),
  crm_sync.note_not_refreshable(bigint, bigint),
  crm_sync.refuse_credentials(bigint, bigint, text),
  crm_sync.claim_revocation(),
  crm_sync.finish_revocation(uuid, bigint, integer, text, text, double precision),
  crm_sync.delete_disconnected(integer),
  crm_sync.reseal(bigint, integer),
  crm_sync.count_seals(),
  crm_sync.check_fence(bigint),
  crm_sync.note_timeline(),
  crm_sync.claim_database()
to crm_sync_daemon;
-- alerts: whoever is there looks and tells, and a console is there when no daemon is
grant execute on function
  crm_sync.check_alerts(interval),
  crm_sync.claim_delivery(text),
  crm_sync.finish_delivery(text, uuid, integer, text, integer, text, double precision)
to crm_sync_daemon, crm_sync_console;
grant execute on function crm_sync.resume_deliveries() to crm_sync_daemon;
grant execute on function
  crm_sync.acknowledge(bigint, text),
  crm_sync.set_alert_rule(text, numeric, interval, text, boolean, uuid)
to crm_sync_daemon, authenticated;
grant execute on function crm_sync.current_conditions() to crm_sync_reader, authenticated;
grant select on crm_sync.alerts, crm_sync.alert_rules, crm_sync.conditions to crm_sync_reader, authenticated;
grant select on crm_sync.alert_suspects, crm_sync.alert_checks, crm_sync.webhooks, crm_sync.deliveries to crm_sync_reader;
-- by column, and deleting by a function: whoever may UPDATE or DELETE a whole table may LOCK it, and hold up everybody
grant insert on crm_sync.alert_rules to authenticated;
grant update (organization_id, name, condition, threshold, for_at_least, clear_after, severity, remedy, is_active)
on crm_sync.alert_rules to authenticated;
grant execute on function crm_sync.delete_alert_rule(bigint) to crm_sync_daemon, authenticated;

-- whoever connects: the console for the user who asks, an operator by the command
grant usage on schema crm_sync to crm_sync_console;
grant execute on function
  crm_sync.schema_version(),
  crm_sync.check_fence(bigint),
  crm_sync.verify_key()
to crm_sync_console;
grant execute on function
  crm_sync.oauth_provider(text),
  crm_sync.begin_authorization(uuid, text, text, bytea, bytea, text, text, text),
  crm_sync.take_authorization(bytea, bytea, text),
  crm_sync.connect_integration(uuid, text, text, text, jsonb)
to crm_sync_console, crm_sync_daemon;
grant execute on function crm_sync.note_account(bigint, jsonb, bigint), crm_sync.adopt_account(bigint, boolean) to crm_sync_daemon;
-- testing a connection; each of these asks whose it is
grant execute on function
  crm_sync.open_credentials(bigint),
  crm_sync.begin_refresh(bigint, bigint, interval),
  crm_sync.end_refresh(bigint),
  crm_sync.store_credentials(bigint, bigint, text),
  crm_sync.spend_budget(bigint, jsonb, interval, bigint, jsonb)
to crm_sync_console;

-- what is wrong, for those who see all organizations
grant execute on function crm_sync.diagnose(), crm_sync.diagnose_work(), crm_sync.diagnose_catalog(), crm_sync.diagnose_server()
to crm_sync_reader, crm_sync_daemon;

-- DBAs and dashboards: the views; what the views read, they read with the reader's own rights
grant usage on schema crm_sync, public to crm_sync_reader;
grant select on crm_sync.status, crm_sync.contact_status, crm_sync.workers, crm_sync.sleepers, crm_sync.accounting, crm_sync.failures,
  crm_sync.unknown_errors, crm_sync.stuck, crm_sync.sizes
to crm_sync_reader;
grant select on crm_sync.throughput, crm_sync.lag, crm_sync.oldest_unsent, crm_sync.budget_use, crm_sync.counters to crm_sync_reader, authenticated;
grant execute on function
  crm_sync.connection_state(text, crm_sync.lanes), crm_sync.is_web_url(text), crm_sync.record_url(bigint, text, text),
  crm_sync.failure_meaning(text, text, text), crm_sync.option_list(jsonb), crm_sync.our_fields(text),
  crm_sync.mapping_faults(uuid, bigint, text, jsonb, jsonb, jsonb), crm_sync.lane_counts(bigint), crm_sync.lane_causes(bigint),
  crm_sync.count_open(uuid, bigint, bigint[]), crm_sync.first_open(bigint, bigint[]), crm_sync.floors_of(crm_sync.lanes),
  crm_sync.failed_causes(uuid, bigint), crm_sync.retrying_causes(uuid, bigint), crm_sync.row_of(uuid, bigint), crm_sync.oldest_rows(bigint),
  crm_sync.lag_bounds(), crm_sync.is_running(), crm_sync.is_alive(timestamptz), crm_sync.standstill(uuid, bigint), crm_sync.who_words(text)
to crm_sync_reader, authenticated;
grant select on crm_sync.tallies, crm_sync.tally_clock, crm_sync.lag_samples, crm_sync.counter_baselines to crm_sync_reader;
grant select on crm_sync.tallies, crm_sync.lag_samples, crm_sync.counter_baselines to authenticated;
grant select (organization_id, integration_id, row_ids) on crm_sync.batches to authenticated; -- how many rows run
-- questions about one row or contact: each asks whose it is
grant execute on function
  crm_sync.explain(uuid), crm_sync.explained_steps(uuid), crm_sync.explained_mapping(uuid, bigint, text),
  crm_sync.explained_payload(uuid, bigint, uuid, text, bigint, text), crm_sync.plan(uuid, bigint), crm_sync.wait_for(uuid, interval),
  crm_sync.believed(uuid, timestamptz), crm_sync.stuck_rows(bigint), crm_sync.contact_standing(uuid[]), crm_sync.contact_timeline(uuid, integer),
  crm_sync.personal_data(uuid, boolean), crm_sync.contact_rights(uuid)
to crm_sync_reader, crm_sync_daemon, authenticated;
grant select on crm_sync.lanes, crm_sync.daemons, crm_sync.batches, crm_sync.effects, crm_sync.intent_rules, crm_sync.budgets, crm_sync.config, crm_sync.crm_fields,
  crm_sync.orphans, crm_sync.routes, crm_sync.samples, crm_sync.fence, crm_sync.pauses, crm_sync.errors
to crm_sync_reader;
grant select on public.integration_providers, public.contact_sync_mappings, public.sync_queue, public.sync_activity_logs to crm_sync_reader;
-- who changed which setting when, what holds now as a document, and what everything is for
grant select on crm_sync.changes to crm_sync_reader, authenticated;
grant select on crm_sync.manual, crm_sync.transitions to crm_sync_reader;
grant execute on function crm_sync.settings_at(bigint, timestamptz) to crm_sync_reader, authenticated;
grant execute on function crm_sync.configuration(uuid), crm_sync.configuration_difference(jsonb, boolean), crm_sync.unknown_ids(bigint, uuid, uuid) to crm_sync_reader;
grant select (
  id, organization_id, provider_id, name, status, credentials_version, sync_settings, field_mappings, sync_filters, last_sync_at, next_sync_at,
  total_synced_contacts, total_synced_deals, sync_frequency, last_error, error_count, created_at, updated_at,
  account_id, account_name, account_url, is_refreshable, credentials_at, disconnected_at
) on public.user_integrations to crm_sync_reader, authenticated;

-- members of an organization: their own rows, and what they may change of their connections; never the credentials
grant usage on schema crm_sync, public to authenticated;
grant execute on function
  crm_sync.member_organizations(), crm_sync.pulse(), crm_sync.find_contacts(text, text, bigint, integer),
  crm_sync.contacts_by_id(uuid[])
to authenticated;
grant select on crm_sync.status, crm_sync.contact_status, crm_sync.accounting, crm_sync.failures, crm_sync.unknown_errors, crm_sync.stuck
to authenticated;
grant select on crm_sync.lanes, crm_sync.routes, crm_sync.effects, crm_sync.budgets, crm_sync.crm_fields, crm_sync.samples, crm_sync.pauses,
  crm_sync.errors
to authenticated;
grant select, insert on crm_sync.intent_rules to authenticated;
grant update (organization_id, intent, contact_status, create_deal) on crm_sync.intent_rules to authenticated;
grant execute on function crm_sync.delete_intent_rule(bigint) to crm_sync_daemon, authenticated;
grant select on public.integration_providers, public.contact_sync_mappings, public.sync_queue, public.sync_activity_logs to authenticated;
grant insert (organization_id, provider_id, name, sync_settings, field_mappings, sync_filters, sync_frequency) on public.user_integrations to authenticated;
grant update (name, sync_settings, field_mappings, sync_filters, sync_frequency) on public.user_integrations to authenticated;
grant execute on function crm_sync.delete_connection(bigint) to crm_sync_daemon, authenticated;
grant execute on function
  crm_sync.pause(bigint),
  crm_sync.disconnect(bigint),
  crm_sync.resume(bigint),
  crm_sync.try_again(bigint),
  crm_sync.adopt_account(bigint, boolean),
  crm_sync.retry_failed(bigint, text, interval, timestamptz),
  crm_sync.retry_cause(bigint, text, text, text, text, text),
  crm_sync.reset_counters(bigint),
  crm_sync.sync_now(bigint),
  crm_sync.rows_at_once(),
  crm_sync.manual_sync(uuid, uuid[]),
  crm_sync.pause_all(text, text, text),
  crm_sync.resume_all(text, text),
  crm_sync.cancel(bigint, uuid, bigint[], text, boolean),
  crm_sync.reprioritize(integer, bigint, uuid, bigint[]),
  crm_sync.backfill(bigint, jsonb, integer, uuid),
  crm_sync.resync(uuid, bigint),
  crm_sync.erase_contact(uuid, boolean, text, text[]),
  crm_sync.lift_erasure(uuid)
to authenticated;
grant select on crm_sync.erasures, crm_sync.erasure_progress to crm_sync_reader, authenticated;
do $$
declare
  v_table text;
begin
  -- the host application's tables are its own affair, except where we had to make them
  foreach v_table in array array['organizations', 'users', 'contacts', 'inbox_messages', 'message_classifications'] loop
    if exists (
      select from pg_catalog.pg_class as c
      where c.oid = to_regclass('public.' || v_table) and pg_catalog.pg_get_userbyid(c.relowner) = 'crm_sync_owner'
    ) then
      execute format('grant select on public.%I to authenticated', v_table);
    end if;
  end loop;
end;
$$;

-- the way in for secrets
grant insert on crm_sync.letterbox to crm_sync_daemon, crm_sync_console;

-- bind parameters and the plans of statements carry addresses and messages: the daemon and the console keep them out of the server's log
do $$
begin
  execute 'grant set on parameter log_parameter_max_length, auto_explain.log_min_duration to crm_sync_daemon, crm_sync_console';
exception when insufficient_privilege then
  raise notice 'not a superuser: the daemon and the console cannot keep people out of the server''s log; as one, for each of their login roles: '
    'alter role … set log_parameter_max_length = 0, and auto_explain.log_min_duration = -1 where auto_explain is loaded';
end;
$$;

-- what is named by a rule is described by one, unless somebody has found better words: keys, checks, the numbers of identity columns
do $$
declare
  v record;
begin
  for v in
    with ours as (
      select c.oid, c.relname, format('%s.%s', n.nspname, c.relname) as name
      from pg_catalog.pg_class as c
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
      where n.nspname in ('crm_sync', 'public') and c.relkind in ('r', 'p') and pg_catalog.pg_get_userbyid(c.relowner) = 'crm_sync_owner'
        and (not c.relispartition or c.relname = 'sync_activity_logs_default')
    ),
    columns as (
      select i.indexrelid, string_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k.place::integer, true), ', ' order by k.place) as words
      from pg_catalog.pg_index as i
      cross join lateral generate_series(1, i.indnkeyatts) as k (place)
      where i.indrelid in (select o.oid from ours as o)
      group by i.indexrelid
    ),
    described as (
      select format('index %s', i.indexrelid::regclass) as object, case
          when i.indisprimary then format('The primary key of %s: %s.', o.name, w.words)
          when i.indisunique then format('No two rows of %s have the same %s.', o.name, w.words)
          else format('Finds rows of %s by %s.', o.name, w.words)
        end as words
      from ours as o
      join pg_catalog.pg_index as i on i.indrelid = o.oid
      join columns as w on w.indexrelid = i.indexrelid
      where obj_description(i.indexrelid, 'pg_class') is null
      union all
      select format('constraint %I on %s', k.conname, k.conrelid::regclass), case k.contype
          when 'p' then format('The primary key of %s: %s.', o.name, w.words)
          when 'u' then format('No two rows of %s have the same %s.', o.name, w.words)
          when 'f' then format('Leads to a row of %s.', k.confrelid::regclass)
          else upper(left(r.rule, 1)) || substr(r.rule, 2) || '.'
        end
      from ours as o
      join pg_catalog.pg_constraint as k on k.conrelid = o.oid and k.contype in ('p', 'u', 'f', 'c', 'x')
      left join columns as w on w.indexrelid = k.conindid and k.contype in ('p', 'u')
      cross join lateral (
        select replace(case when starts_with(k.conname, o.relname || '_') then substr(k.conname, length(o.relname) + 2) else k.conname end, '_', ' ') as rule
      ) as r
      where obj_description(k.oid, 'pg_constraint') is null
      union all
      select format('sequence %s', s.oid::regclass), format('Gives out the numbers of %s.%s.', o.name, a.attname)
      from ours as o
      join pg_catalog.pg_depend as d on d.refobjid = o.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
      join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
      join pg_catalog.pg_attribute as a on a.attrelid = o.oid and a.attnum = d.refobjsubid
      where obj_description(s.oid, 'pg_class') is null
    )
    select format('comment on %s is %L', d.object, d.words) as command from described as d
  loop
    execute v.command;
  end loop;
end;
$$;
