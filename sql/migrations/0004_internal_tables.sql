-- What only the functions of crm_sync write: the state of each lane, claims, workers, rules and the record of effects.

create table crm_sync.config (
  is_only boolean primary key default true constraint config_has_one_row check (is_only),
  retain_finished interval not null default '14 days',
  retain_logs interval not null default '90 days',
  give_up_after interval not null default '7 days',
  batches_in_flight smallint not null default 2
    constraint config_batches_in_flight_is_1_to_64 check (batches_in_flight between 1 and 64)
);
insert into crm_sync.config default values;
comment on table crm_sync.config is 'Settings for the whole system, in one row; an operator updates it.';
comment on column crm_sync.config.is_only is 'There is one row.';
comment on column crm_sync.config.retain_finished is 'Finished queue rows are purged after this time.';
comment on column crm_sync.config.retain_logs is 'Partitions of the activity log are dropped after this time.';
comment on column crm_sync.config.give_up_after is 'A row that a CRM''s outage kept waiting for so long fails for a human.';
comment on column crm_sync.config.batches_in_flight is 'How many batches of one connection may be under way at once, over all daemons.';

create table crm_sync.lanes (
  organization_id uuid not null,
  integration_id bigint not null,
  cursors bigint[] not null default array_fill(0::bigint, array[10]),
  look_behind_at timestamptz not null default '-infinity',
  paused_at timestamptz,
  paused_by text,
  parked_until timestamptz,
  parked_kind text,
  parked_reason text,
  failures integer not null default 0,
  errors integer not null default 0,
  batch_limit integer,
  last_claimed_at timestamptz,
  last_success_at timestamptz,
  last_failure_at timestamptz,
  last_error text,
  folded_at timestamptz not null default '-infinity',
  schema_ready_at timestamptz,
  refresh_until timestamptz,
  synced bigint not null default 0,
  superseded bigint not null default 0,
  synced_contacts bigint not null default 0,
  synced_deals bigint not null default 0,
  purged bigint not null default 0,
  purged_failed bigint not null default 0,
  purged_skipped bigint not null default 0,
  constraint lanes_pkey primary key (organization_id, integration_id),
  constraint lanes_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
create unique index lanes_integration_id_key on crm_sync.lanes (integration_id);
comment on table crm_sync.lanes is 'The moving state of a connection, apart from the row that producers'' foreign keys lock; its row lock serialises claims.';
comment on index crm_sync.lanes_integration_id_key is 'Finds the lane of a connection.';
comment on column crm_sync.lanes.organization_id is 'Whose lane it is.';
comment on column crm_sync.lanes.integration_id is 'The connection.';
comment on column crm_sync.lanes.cursors is 'For each priority the last id claimed: claims resume behind it instead of wading through dead index entries.';
comment on column crm_sync.lanes.look_behind_at is 'When the claim next looks behind its cursors.';
comment on column crm_sync.lanes.paused_at is 'Since when an operator has paused it.';
comment on column crm_sync.lanes.paused_by is 'Who paused it.';
comment on column crm_sync.lanes.parked_until is 'The daemon leaves it alone until then; infinity waits for a human.';
comment on column crm_sync.lanes.parked_kind is 'Why it is parked: rate_limited, unavailable or unauthorized.';
comment on column crm_sync.lanes.parked_reason is 'Why it is parked, in plain words.';
comment on column crm_sync.lanes.failures is 'Batches in a row that met an unavailable CRM.';
comment on column crm_sync.lanes.errors is 'Batches with a failure since the CRM last confirmed something.';
comment on column crm_sync.lanes.batch_limit is 'Size of the next batch while the CRM recovers; null is the daemon''s own.';
comment on column crm_sync.lanes.last_claimed_at is 'When work was last taken from it.';
comment on column crm_sync.lanes.last_success_at is 'When the CRM last confirmed something.';
comment on column crm_sync.lanes.last_failure_at is 'When something last failed.';
comment on column crm_sync.lanes.last_error is 'The last failure, in plain words.';
comment on column crm_sync.lanes.folded_at is 'When its counters were last carried to user_integrations.';
comment on column crm_sync.lanes.schema_ready_at is 'Since when the CRM is known to have the fields that hold our keys.';
comment on column crm_sync.lanes.refresh_until is 'While a daemon refreshes the token: when its right to do so ends.';
comment on column crm_sync.lanes.synced is 'Queue rows that the CRM confirmed.';
comment on column crm_sync.lanes.superseded is 'Queue rows whose state a newer row carried.';
comment on column crm_sync.lanes.synced_contacts is 'Contacts that have reached the CRM.';
comment on column crm_sync.lanes.synced_deals is 'Deals that have reached the CRM.';
comment on column crm_sync.lanes.purged is 'Finished queue rows that were purged.';
comment on column crm_sync.lanes.purged_failed is 'How many of the purged had failed.';
comment on column crm_sync.lanes.purged_skipped is 'How many of the purged had been skipped.';

create table crm_sync.daemons (
  id uuid primary key,
  host text not null,
  pid integer not null,
  version text not null,
  armed boolean not null default false,
  listening boolean not null default false,
  started_at timestamptz not null default clock_timestamp(),
  armed_at timestamptz,
  last_seen_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100, autovacuum_vacuum_cost_delay = 0);
comment on table crm_sync.daemons is 'Daemons that are alive, and which of them sleep and want to be rung.';
comment on column crm_sync.daemons.id is 'Chosen by the daemon at its start.';
comment on column crm_sync.daemons.host is 'Where it runs.';
comment on column crm_sync.daemons.pid is 'Its process id there.';
comment on column crm_sync.daemons.version is 'Its version.';
comment on column crm_sync.daemons.armed is 'It is about to sleep or asleep: whoever enqueues must ring.';
comment on column crm_sync.daemons.listening is 'It has a LISTEN connection; otherwise it polls.';
comment on column crm_sync.daemons.started_at is 'When it started.';
comment on column crm_sync.daemons.armed_at is 'Since when it is armed.';
comment on column crm_sync.daemons.last_seen_at is 'Its last sign of life.';

create table crm_sync.batches (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  integration_id bigint not null,
  worker_id uuid not null,
  row_ids bigint[] not null,
  claimed_at timestamptz not null default clock_timestamp(),
  lease_until timestamptz not null,
  constraint batches_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
create index batches_integration_idx on crm_sync.batches (organization_id, integration_id);
comment on table crm_sync.batches is 'Claims under way; the row lives as long as the claim.';
comment on column crm_sync.batches.id is 'Key, and the fence: sync_queue.batch_id names it while it holds a row.';
comment on column crm_sync.batches.organization_id is 'Whose work it is.';
comment on column crm_sync.batches.integration_id is 'The connection; a batch is of one.';
comment on column crm_sync.batches.worker_id is 'The daemon that holds it.';
comment on column crm_sync.batches.row_ids is 'The queue rows it holds.';
comment on column crm_sync.batches.claimed_at is 'When it was claimed.';
comment on column crm_sync.batches.lease_until is 'Unless renewed, its rows are taken over after this time.';

create table crm_sync.effects (
  organization_id uuid not null,
  integration_id bigint not null,
  object_type text not null
    constraint effects_object_type_is_known check (object_type in ('company', 'deal', 'activity')),
  key text not null,
  contact_id uuid,
  message_id uuid,
  rule text,
  external_id text,
  created_at timestamptz not null default now(),
  confirmed_at timestamptz,
  constraint effects_pkey primary key (organization_id, integration_id, object_type, key),
  constraint effects_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade,
  constraint effects_of_a_company_have_no_contact check ((object_type = 'company') = (contact_id is null))
) with (fillfactor = 80);
create unique index effects_one_deal_per_rule on crm_sync.effects (organization_id, integration_id, contact_id, rule) where object_type = 'deal';
comment on table crm_sync.effects is 'Every company, deal and activity that we make in a CRM: intended before the call, confirmed after it.';
comment on index crm_sync.effects_one_deal_per_rule is 'At most one deal for each connection, contact and deal rule.';
comment on column crm_sync.effects.organization_id is 'Whose it is.';
comment on column crm_sync.effects.integration_id is 'The connection.';
comment on column crm_sync.effects.object_type is 'company, deal or activity.';
comment on column crm_sync.effects.key is 'Our key, which the CRM''s record carries as well.';
comment on column crm_sync.effects.contact_id is 'The contact of a deal or activity.';
comment on column crm_sync.effects.message_id is 'The message of an activity, or the one that asked for a deal.';
comment on column crm_sync.effects.rule is 'The intent whose rule asked for a deal.';
comment on column crm_sync.effects.external_id is 'The CRM''s id, once confirmed.';
comment on column crm_sync.effects.created_at is 'When it was intended.';
comment on column crm_sync.effects.confirmed_at is 'When the CRM confirmed it last.';

create table crm_sync.intent_rules (
  id bigint generated always as identity primary key,
  organization_id uuid references public.organizations (id) on delete cascade,
  intent text not null
    constraint intent_rules_intent_is_normalized check (intent ~ '^[a-z0-9]+(_[a-z0-9]+)*$'),
  contact_status text
    constraint intent_rules_contact_status_is_known check (contact_status in ('new', 'contacted', 'qualified', 'unqualified')),
  create_deal boolean not null default false,
  constraint intent_rules_intent_key unique nulls not distinct (organization_id, intent),
  constraint intent_rules_machines_are_not_interested check (
    intent !~ '(unsubscrib|opt_?out|bounc|undeliver|delivery_fail|out_of_(the_)?office|(^|_)ooo($|_)|auto_?(matic_)?_?(reply|response|responder)|vacation|spam|complaint)'
    or (not create_deal and contact_status is distinct from 'qualified' and contact_status is distinct from 'contacted')
  )
);
comment on table crm_sync.intent_rules is 'What an intent means for a contact''s status and whether it makes a deal; an organization''s own rule goes before the common one.';
comment on column crm_sync.intent_rules.id is 'Key.';
comment on column crm_sync.intent_rules.organization_id is 'Whose rule it is; null is everybody''s.';
comment on column crm_sync.intent_rules.intent is 'The intent: lower case, words joined by underscores.';
comment on column crm_sync.intent_rules.contact_status is 'new, contacted, qualified or unqualified; null leaves it alone.';
comment on column crm_sync.intent_rules.create_deal is 'Whether it makes a deal.';

create table crm_sync.budgets (
  organization_id uuid not null,
  integration_id bigint not null,
  name text not null,
  theoretical_at timestamptz not null default '-infinity',
  spent bigint not null default 0,
  spent_today bigint not null default 0,
  today date not null default current_date,
  constraint budgets_pkey primary key (organization_id, integration_id, name),
  constraint budgets_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
comment on table crm_sync.budgets is 'Token buckets: what is left of each rate limit of each connection, for all daemons together.';
comment on column crm_sync.budgets.organization_id is 'Whose it is.';
comment on column crm_sync.budgets.integration_id is 'The connection.';
comment on column crm_sync.budgets.name is 'The limit''s name in the provider''s config.';
comment on column crm_sync.budgets.theoretical_at is 'When the next call would be due if calls came evenly; ahead of now by at most the burst.';
comment on column crm_sync.budgets.spent is 'Calls ever made.';
comment on column crm_sync.budgets.spent_today is 'Calls made on the day of the column today.';
comment on column crm_sync.budgets.today is 'The day (UTC) that spent_today counts.';

create table crm_sync.orphans (
  classification_id uuid primary key,
  message_id uuid not null,
  reason text not null,
  seen_at timestamptz not null default now()
);
comment on table crm_sync.orphans is 'Classifications of messages that did not exist yet; taken up when the message arrives.';
comment on column crm_sync.orphans.classification_id is 'The classification.';
comment on column crm_sync.orphans.message_id is 'The message nobody knew.';
comment on column crm_sync.orphans.reason is 'Why nothing was enqueued, in plain words.';
comment on column crm_sync.orphans.seen_at is 'When the classification was inserted.';
