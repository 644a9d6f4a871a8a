-- Alerts: what is to alarm (rules), what alarms and did (alerts), and the signed messages that say so (deliveries).

create table crm_sync.alert_rules (
  id bigint generated always as identity primary key,
  organization_id uuid references public.organizations (id) on delete cascade,
  name text not null
    constraint alert_rules_name_is_a_word check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
  condition text not null
    constraint alert_rules_condition_is_known check (condition in (
      'failures_per_hour', 'oldest_wait', 'queue_depth', 'nothing_succeeds', 'budget_nearly_spent', 'connection_lost', 'refresh_failing',
      'no_worker_alive', 'worker_cannot_listen', 'unknown_error'
    )),
  threshold numeric not null
    constraint alert_rules_threshold_is_positive check (threshold > 0 and threshold < 'infinity'),
  for_at_least interval not null default '0 seconds'
    constraint alert_rules_for_at_least_is_up_to_a_week check (for_at_least between interval '0' and interval '7 days'),
  clear_after interval not null default '1 minute'
    constraint alert_rules_clear_after_is_up_to_a_day check (clear_after between interval '0' and interval '1 day'),
  severity text not null
    constraint alert_rules_severity_is_known check (severity in ('info', 'warning', 'critical')),
  is_active boolean not null default true,
  remedy text not null
    constraint alert_rules_remedy_is_not_blank check (remedy ~ '[^[:space:]]' and length(remedy) <= 1000),
  constraint alert_rules_name_key unique nulls not distinct (organization_id, name),
  -- whether any daemon is alive is no organization's own affair
  constraint alert_rules_of_an_organization_are_of_its_connections check (
    organization_id is null or condition not in ('no_worker_alive', 'worker_cannot_listen', 'unknown_error')
  ),
  -- so many are counted, and no more
  constraint alert_rules_failures_are_counted_to_1000 check (condition <> 'failures_per_hour' or threshold <= 1000)
);
comment on table crm_sync.alert_rules is 'What is to alarm: a condition with its threshold; an organization''s own rule goes before the common one of its name.';
comment on column crm_sync.alert_rules.id is 'Key.';
comment on column crm_sync.alert_rules.organization_id is 'Whose rule it is; null is everybody''s.';
comment on column crm_sync.alert_rules.name is 'What it is called; alerts carry this name.';
comment on column crm_sync.alert_rules.condition is 'What is measured: failures_per_hour, oldest_wait, queue_depth, nothing_succeeds, budget_nearly_spent, connection_lost, refresh_failing; no_worker_alive, worker_cannot_listen, unknown_error.';
comment on column crm_sync.alert_rules.threshold is 'From which value on it alarms, in the unit of the condition: rows, minutes, percent, attempts or connections; of no_worker_alive below which number of daemons.';
comment on column crm_sync.alert_rules.for_at_least is 'The condition must have been true for so long before an alert is raised.';
comment on column crm_sync.alert_rules.clear_after is 'It must have been under 90 % of its threshold for so long before the alert is cleared.';
comment on column crm_sync.alert_rules.severity is 'info, warning or critical.';
comment on column crm_sync.alert_rules.is_active is 'Whether it is looked at; of an organization''s own rule, false switches the common one off for it.';
comment on column crm_sync.alert_rules.remedy is 'What to do, in plain words.';

create table crm_sync.alerts (
  id bigint generated always as identity primary key,
  organization_id uuid,
  integration_id bigint,
  rule text not null,
  condition text not null,
  subject text not null,
  provider text,
  severity text not null
    constraint alerts_severity_is_known check (severity in ('info', 'warning', 'critical')),
  value numeric,
  threshold numeric not null,
  unit text not null,
  words text not null,
  remedy text not null,
  raised_at timestamptz not null default now(),
  false_since timestamptz,
  cleared_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by text,
  note text,
  changed_at timestamptz not null default now(),
  constraint alerts_connection_has_an_organization check (integration_id is null or organization_id is not null),
  constraint alerts_acknowledged_by_somebody check ((acknowledged_at is null) = (acknowledged_by is null))
) with (fillfactor = 70);
create unique index alerts_open_key on crm_sync.alerts (rule, subject) where cleared_at is null;
create index alerts_changed_at_idx on crm_sync.alerts (organization_id, changed_at);
create index alerts_raised_at_idx on crm_sync.alerts (raised_at);
create index alerts_cleared_at_idx on crm_sync.alerts (cleared_at) where cleared_at is not null;
comment on table crm_sync.alerts is 'What alarms and what has alarmed: each alert is raised once and cleared once; no foreign key to what may be gone.';
comment on index crm_sync.alerts_open_key is 'Of one rule and one subject at most one alert is raised.';
comment on index crm_sync.alerts_changed_at_idx is 'Finds the newest change of an organization''s alerts, for pages that are looked at.';
comment on index crm_sync.alerts_raised_at_idx is 'Finds what was raised last night.';
comment on index crm_sync.alerts_cleared_at_idx is 'For the purge.';
comment on column crm_sync.alerts.id is 'Key.';
comment on column crm_sync.alerts.organization_id is 'Whose connection it is about; null for what concerns everybody.';
comment on column crm_sync.alerts.integration_id is 'The connection; null for what concerns everybody.';
comment on column crm_sync.alerts.rule is 'Name of the rule.';
comment on column crm_sync.alerts.condition is 'What was measured.';
comment on column crm_sync.alerts.subject is 'What it is about, for machines: connection:12, connection:12/daily, workers, worker:host:pid, error:hubspot/CODE.';
comment on column crm_sync.alerts.provider is 'Which CRM; null for what concerns no CRM.';
comment on column crm_sync.alerts.severity is 'info, warning or critical.';
comment on column crm_sync.alerts.value is 'The value at the last check at which the condition was still true.';
comment on column crm_sync.alerts.threshold is 'The rule''s threshold.';
comment on column crm_sync.alerts.unit is 'Of value and threshold: rows, minutes, percent, connections, attempts or daemons.';
comment on column crm_sync.alerts.words is 'What is wrong, in one plain sentence.';
comment on column crm_sync.alerts.remedy is 'What to do, in plain words.';
comment on column crm_sync.alerts.raised_at is 'When it was raised.';
comment on column crm_sync.alerts.false_since is 'Since when the condition has not been true any more; the alert is cleared when that has lasted.';
comment on column crm_sync.alerts.cleared_at is 'When it was cleared; null while it is raised.';
comment on column crm_sync.alerts.acknowledged_at is 'When somebody said that they take care of it.';
comment on column crm_sync.alerts.acknowledged_by is 'Who did.';
comment on column crm_sync.alerts.note is 'What they wrote.';
comment on column crm_sync.alerts.changed_at is 'When it was raised, acknowledged or cleared, whichever was last.';

create table crm_sync.alert_suspects (
  rule text not null,
  subject text not null,
  since timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  constraint alert_suspects_pkey primary key (rule, subject)
) with (fillfactor = 70);
comment on table crm_sync.alert_suspects is 'Conditions that are true, but not yet for as long as their rules ask.';
comment on column crm_sync.alert_suspects.rule is 'Name of the rule.';
comment on column crm_sync.alert_suspects.subject is 'What it is about, as in crm_sync.alerts.';
comment on column crm_sync.alert_suspects.since is 'Since when it has been true at each check.';
comment on column crm_sync.alert_suspects.seen_at is 'When it was last found true.';

create table crm_sync.alert_checks (
  is_only boolean primary key default true constraint alert_checks_has_one_row check (is_only),
  checked_at timestamptz not null default '-infinity'
) with (fillfactor = 50);
insert into crm_sync.alert_checks default values;
comment on table crm_sync.alert_checks is 'When the conditions were last looked at, in one row, whose lock lets one look at a time.';
comment on column crm_sync.alert_checks.is_only is 'There is one row.';
comment on column crm_sync.alert_checks.checked_at is 'When the conditions were last looked at; minutes ago means that nobody does.';

create table crm_sync.webhooks (
  endpoint text primary key,
  seen_at timestamptz not null default now(),
  gone_at timestamptz
);
comment on table crm_sync.webhooks is 'Where messages about alerts go, by a hash of the URL, which only daemons and consoles know.';
comment on column crm_sync.webhooks.endpoint is 'SHA-256 of the URL, in hexadecimal.';
comment on column crm_sync.webhooks.seen_at is 'When a daemon or a console last said that it sends there, to the hour.';
comment on column crm_sync.webhooks.gone_at is 'Since when the receiver answers that it is gone (410): nothing is sent until crm_sync.resume_deliveries().';

create table crm_sync.deliveries (
  id uuid primary key default gen_random_uuid(),
  alert_id bigint not null references crm_sync.alerts (id) on delete cascade,
  type text not null
    constraint deliveries_type_is_known check (type in ('alert.raised', 'alert.acknowledged', 'alert.cleared')),
  payload json not null,
  attempts integer not null default 0,
  created_at timestamptz not null default now(),
  next_attempt_at timestamptz not null default now(),
  delivered_at timestamptz,
  given_up_at timestamptz,
  last_status integer,
  last_error text,
  constraint deliveries_end_one_way check (delivered_at is null or given_up_at is null)
) with (fillfactor = 70);
create index deliveries_alert_id_idx on crm_sync.deliveries (alert_id);
create index deliveries_next_idx on crm_sync.deliveries (next_attempt_at) where delivered_at is null and given_up_at is null;
comment on table crm_sync.deliveries is 'Messages to the webhook: each waits here until the receiver has taken it, for three days at most.';
comment on index crm_sync.deliveries_alert_id_idx is 'For the foreign key.';
comment on index crm_sync.deliveries_next_idx is 'What is due.';
comment on column crm_sync.deliveries.id is 'Key; sent as the header webhook-id, the same at every attempt.';
comment on column crm_sync.deliveries.alert_id is 'The alert it is about.';
comment on column crm_sync.deliveries.type is 'alert.raised, alert.acknowledged or alert.cleared.';
comment on column crm_sync.deliveries.payload is 'The body, to the letter, as its signature must be of what is sent.';
comment on column crm_sync.deliveries.attempts is 'How often it was tried.';
comment on column crm_sync.deliveries.created_at is 'When it was queued.';
comment on column crm_sync.deliveries.next_attempt_at is 'Not before this time: a daemon is at it, or the last attempt came to nothing.';
comment on column crm_sync.deliveries.delivered_at is 'When the receiver took it.';
comment on column crm_sync.deliveries.given_up_at is 'When it was given up.';
comment on column crm_sync.deliveries.last_status is 'The receiver''s last answer, as an HTTP status.';
comment on column crm_sync.deliveries.last_error is 'Why the last attempt came to nothing, in plain words.';

do $$
declare
  v_table text;
begin
  foreach v_table in array array['alert_rules', 'alerts', 'alert_suspects', 'alert_checks', 'webhooks', 'deliveries'] loop
    execute format('alter table crm_sync.%I enable row level security', v_table);
    execute format('alter table crm_sync.%I force row level security', v_table);
    execute format('create policy owner_all on crm_sync.%I for all to crm_sync_owner using (true) with check (true)', v_table);
    execute format('comment on policy owner_all on crm_sync.%I is %L', v_table, 'The functions of crm_sync, which run as the owner, see and write everything.');
    execute format('create policy reader_select on crm_sync.%I for select to crm_sync_reader using (true)', v_table);
    execute format('comment on policy reader_select on crm_sync.%I is %L', v_table, 'DBAs and dashboards see every organization.');
  end loop;
  foreach v_table in array array['alert_rules', 'alerts'] loop
    execute format(
      'create policy members_select on crm_sync.%I for select to authenticated using (organization_id = any (array(select crm_sync.member_organizations())))', v_table);
    execute format('comment on policy members_select on crm_sync.%I is %L', v_table, 'Members see the rows of their organization.');
  end loop;
end;
$$;
create policy common_select on crm_sync.alert_rules for select to authenticated using (organization_id is null);
comment on policy common_select on crm_sync.alert_rules is 'Everybody who is logged in sees the common rules.';
create policy members_insert on crm_sync.alert_rules for insert to authenticated
  with check (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_insert on crm_sync.alert_rules is 'Members make rules for their organization.';
create policy members_update on crm_sync.alert_rules for update to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())))
  with check (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_update on crm_sync.alert_rules is 'Members change the rules of their organization.';
create policy members_delete on crm_sync.alert_rules for delete to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_delete on crm_sync.alert_rules is 'Members remove the rules of their organization.';
