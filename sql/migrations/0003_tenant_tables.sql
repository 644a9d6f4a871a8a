-- What tenants see: connections, mappings, the log and the queue. Every key and foreign key carries organization_id.

create table public.integration_providers (
  id bigint generated always as identity primary key,
  name text not null constraint integration_providers_name_key unique
    constraint integration_providers_name_is_a_word check (name ~ '^[a-z][a-z0-9_]{1,40}$'),
  display_name text not null,
  description text not null default '',
  logo_url text not null default '',
  auth_type text not null default 'oauth'
    constraint integration_providers_auth_type_is_known check (auth_type in ('oauth', 'api_key', 'basic')),
  config jsonb not null default '{}'
    constraint integration_providers_config_is_an_object check (jsonb_typeof(config) = 'object'),
  shipped_config jsonb not null default '{}',
  is_active boolean not null default true,
  created_at timestamptz not null default now()
);
comment on table public.integration_providers is 'The CRMs that can be connected.';
comment on column public.integration_providers.id is 'Key.';
comment on column public.integration_providers.name is 'Short name: hubspot, salesforce, pipedrive; also the name of the Python module.';
comment on column public.integration_providers.display_name is 'What people call it.';
comment on column public.integration_providers.description is 'One sentence for the page where it is connected.';
comment on column public.integration_providers.logo_url is 'Path of its logo on the console.';
comment on column public.integration_providers.auth_type is 'How a connection proves itself: oauth, api_key or basic.';
comment on column public.integration_providers.config is 'URLs, API version, scopes, rate limits and default mappings in force; an operator may change any of them.';
comment on column public.integration_providers.shipped_config is 'The config as last shipped: what differs from it in config was changed by an operator and survives an upgrade.';
comment on column public.integration_providers.is_active is 'Whether tenants may connect it and the daemon works for it.';
comment on column public.integration_providers.created_at is 'When it was registered.';

create table public.user_integrations (
  id bigint generated always as identity,
  organization_id uuid not null references public.organizations (id) on delete cascade,
  provider_id bigint not null references public.integration_providers (id) on delete restrict,
  name text not null default 'default'
    constraint user_integrations_name_is_not_blank check (name <> '' and length(name) <= 200),
  status text not null default 'connected'
    constraint user_integrations_status_is_known check (status in ('connected', 'disconnected', 'error', 'syncing')),
  credentials text,
  credentials_version bigint not null default 0,
  sync_settings jsonb not null default '{}'
    constraint user_integrations_sync_settings_is_an_object check (jsonb_typeof(sync_settings) = 'object'),
  field_mappings jsonb not null default '{}'
    constraint user_integrations_field_mappings_is_an_object check (jsonb_typeof(field_mappings) = 'object'),
  sync_filters jsonb not null default '{}'
    constraint user_integrations_sync_filters_is_an_object check (jsonb_typeof(sync_filters) = 'object'),
  last_sync_at timestamptz,
  next_sync_at timestamptz,
  total_synced_contacts bigint not null default 0,
  total_synced_deals bigint not null default 0,
  sync_frequency text not null default 'realtime'
    constraint user_integrations_sync_frequency_is_known check (sync_frequency in ('realtime', 'hourly', 'daily')),
  last_error text,
  error_count integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint user_integrations_pkey primary key (organization_id, id),
  constraint user_integrations_organization_provider_name_key unique (organization_id, provider_id, name)
);
create index user_integrations_provider_id_idx on public.user_integrations (provider_id);
create index user_integrations_id_idx on public.user_integrations (id);
comment on table public.user_integrations is 'A connection of an organization to a CRM.';
comment on column public.user_integrations.id is 'Key within the organization; unique over all of them.';
comment on column public.user_integrations.organization_id is 'Whose connection it is.';
comment on column public.user_integrations.provider_id is 'Which CRM.';
comment on column public.user_integrations.name is 'Tells several connections to one CRM apart.';
comment on column public.user_integrations.status is 'connected or syncing: work flows; error: it waits for a human; disconnected: nothing is enqueued.';
comment on column public.user_integrations.credentials is 'Sealed tokens (write plaintext JSON, a trigger seals it); tenants cannot read it.';
comment on column public.user_integrations.credentials_version is 'Rises with each write of the credentials.';
comment on column public.user_integrations.sync_settings is 'What is synced and with which defaults; completed with the provider''s defaults when the connection is made.';
comment on column public.user_integrations.field_mappings is 'Changes to the provider''s default mapping, as a list of rules for each object.';
comment on column public.user_integrations.sync_filters is 'Conditions a classification must meet to be synced; {} lets everything through.';
comment on column public.user_integrations.last_sync_at is 'Last time the CRM confirmed something.';
comment on column public.user_integrations.next_sync_at is 'Next slot of an hourly or daily connection.';
comment on column public.user_integrations.total_synced_contacts is 'Contacts that have reached the CRM; brought up to date every few seconds.';
comment on column public.user_integrations.total_synced_deals is 'Deals that have reached the CRM; brought up to date every few seconds.';
comment on column public.user_integrations.sync_frequency is 'realtime, hourly or daily.';
comment on column public.user_integrations.last_error is 'Last failure, in plain words; null once things work again.';
comment on column public.user_integrations.error_count is 'Batches with a failure since the last success.';
comment on column public.user_integrations.created_at is 'When it was connected first.';
comment on column public.user_integrations.updated_at is 'When it was last changed.';

create table public.contact_sync_mappings (
  id bigint generated always as identity,
  organization_id uuid not null,
  integration_id bigint not null,
  contact_id uuid not null,
  message_id uuid,
  external_contact_id text,
  external_deal_id text,
  external_company_id text,
  sync_status text not null default 'pending'
    constraint contact_sync_mappings_sync_status_is_known check (sync_status in ('pending', 'synced', 'error', 'conflict')),
  sync_direction text not null default 'outbound'
    constraint contact_sync_mappings_sync_direction_is_known check (sync_direction in ('outbound', 'inbound', 'bidirectional')),
  last_synced_at timestamptz,
  sync_data jsonb not null default '{}',
  conflict_resolution text not null default 'source_wins'
    constraint contact_sync_mappings_conflict_resolution_is_known check (conflict_resolution in ('manual', 'source_wins', 'target_wins')),
  conflict_data jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- id first: an index that begins with the organization alone would tempt a planner without statistics to walk all of it
  constraint contact_sync_mappings_pkey primary key (id, organization_id),
  constraint contact_sync_mappings_contact_key unique (organization_id, integration_id, contact_id),
  constraint contact_sync_mappings_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade,
  constraint contact_sync_mappings_contact_fkey foreign key (organization_id, contact_id)
    references public.contacts (organization_id, id) on delete cascade,
  constraint contact_sync_mappings_message_fkey foreign key (organization_id, message_id)
    references public.inbox_messages (organization_id, id) on delete set null (message_id)
) with (fillfactor = 80);
create unique index contact_sync_mappings_external_contact_key
  on public.contact_sync_mappings (organization_id, integration_id, external_contact_id) where external_contact_id is not null;
create index contact_sync_mappings_contact_idx on public.contact_sync_mappings (organization_id, contact_id);
create index contact_sync_mappings_message_idx on public.contact_sync_mappings (organization_id, message_id);
comment on table public.contact_sync_mappings is 'Which record of a CRM a contact became, and what was last sent there.';
comment on column public.contact_sync_mappings.id is 'Key within the organization.';
comment on column public.contact_sync_mappings.organization_id is 'Whose contact it is.';
comment on column public.contact_sync_mappings.integration_id is 'The connection it was sent through.';
comment on column public.contact_sync_mappings.contact_id is 'Our contact.';
comment on column public.contact_sync_mappings.message_id is 'The message that was last carried along.';
comment on column public.contact_sync_mappings.external_contact_id is 'The CRM''s id of the contact; one record of the CRM belongs to one contact of ours.';
comment on column public.contact_sync_mappings.external_deal_id is 'The CRM''s id of the newest deal.';
comment on column public.contact_sync_mappings.external_company_id is 'The CRM''s id of the company it is associated with.';
comment on column public.contact_sync_mappings.sync_status is 'synced; error: the last attempt failed; conflict: another contact of ours owns the CRM''s record.';
comment on column public.contact_sync_mappings.sync_direction is 'Which way changes travel.';
comment on column public.contact_sync_mappings.last_synced_at is 'Last time the CRM confirmed the contact.';
comment on column public.contact_sync_mappings.sync_data is 'What was last sent: the status, the queue row that decided it, and each field by the CRM''s name.';
comment on column public.contact_sync_mappings.conflict_resolution is 'Who wins when both sides changed.';
comment on column public.contact_sync_mappings.conflict_data is 'For a conflict: the CRM''s record and the contact that owns it.';
comment on column public.contact_sync_mappings.created_at is 'When the contact was first sent.';
comment on column public.contact_sync_mappings.updated_at is 'When this row last changed.';

create table public.sync_activity_logs (
  id bigint generated always as identity,
  organization_id uuid not null,
  integration_id bigint not null,
  activity_type text not null,
  status text not null
    constraint sync_activity_logs_status_is_known check (status in ('success', 'error', 'warning', 'info')),
  contact_id uuid,
  message_id uuid,
  mapping_id bigint,
  title text not null,
  description text,
  external_id text,
  duration_ms integer,
  request_data jsonb,
  response_data jsonb,
  error_details jsonb,
  created_at timestamptz not null default now(),
  constraint sync_activity_logs_pkey primary key (organization_id, id, created_at),
  constraint sync_activity_logs_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
) partition by range (created_at);
create index sync_activity_logs_integration_idx on public.sync_activity_logs (organization_id, integration_id, created_at);
create index sync_activity_logs_contact_idx on public.sync_activity_logs (organization_id, contact_id);
create table public.sync_activity_logs_default partition of public.sync_activity_logs default;
comment on table public.sync_activity_logs_default is 'Log entries of a time that has no partition of its own.';
comment on table public.sync_activity_logs is 'Every effect and every failure, append-only, partitioned by month.';
comment on column public.sync_activity_logs.id is 'Key, ever growing.';
comment on column public.sync_activity_logs.organization_id is 'Whose entry it is.';
comment on column public.sync_activity_logs.integration_id is 'The connection it happened on.';
comment on column public.sync_activity_logs.activity_type is 'sync_contact, sync_deal, sync_activity, or what happened to the connection.';
comment on column public.sync_activity_logs.status is 'success, error, warning or info.';
comment on column public.sync_activity_logs.contact_id is 'The contact it is about.';
comment on column public.sync_activity_logs.message_id is 'The message it is about.';
comment on column public.sync_activity_logs.mapping_id is 'The mapping it changed.';
comment on column public.sync_activity_logs.title is 'What happened, in a few words.';
comment on column public.sync_activity_logs.description is 'What happened, in a sentence.';
comment on column public.sync_activity_logs.external_id is 'The CRM''s id of the record.';
comment on column public.sync_activity_logs.duration_ms is 'From the first call of the batch to this outcome, in milliseconds.';
comment on column public.sync_activity_logs.request_data is 'What was sent.';
comment on column public.sync_activity_logs.response_data is 'What the CRM answered, in short.';
comment on column public.sync_activity_logs.error_details is 'Kind, status, code, field, message and correlation id of a failure.';
comment on column public.sync_activity_logs.created_at is 'When it happened.';

-- No foreign key: its check would lock the connection's row in every producer's transaction, and a connection that is
-- deleted at that moment would fail the producer's INSERT. Only the functions of crm_sync write here, and they take
-- organization, connection, contact and message from rows that are tied together by foreign keys of their own.
create table public.sync_queue (
  id bigint generated always as identity,
  organization_id uuid not null,
  integration_id bigint,
  contact_id uuid,
  message_id uuid,
  classification_id uuid,
  batch_id bigint,
  superseded_by bigint,
  priority smallint not null default 5
    constraint sync_queue_priority_is_1_to_10 check (priority between 1 and 10),
  attempts smallint not null default 0,
  max_attempts smallint not null default 3,
  losses smallint not null default 0,
  uncertain boolean not null default false,
  queue_type text not null
    constraint sync_queue_queue_type_is_known check (queue_type in ('contact_sync', 'deal_sync', 'activity_sync')),
  status text not null default 'pending'
    constraint sync_queue_status_is_known check (status in ('pending', 'processing', 'completed', 'failed', 'retry', 'skipped')),
  payload jsonb not null default '{}',
  next_attempt_at timestamptz,
  last_error text,
  scheduled_at timestamptz not null default now(),
  started_at timestamptz,
  stumbled_at timestamptz,
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  constraint sync_queue_pkey primary key (organization_id, id),
  constraint sync_queue_without_integration_is_skipped check (integration_id is not null or status = 'skipped'),
  constraint sync_queue_processing_has_a_batch check ((status = 'processing') = (batch_id is not null)),
  constraint sync_queue_skipped_has_a_reason check (status <> 'skipped' or last_error is not null)
) with (
  fillfactor = 85,
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05
);
create index sync_queue_ready_idx on public.sync_queue (integration_id, priority, id)
  where status in ('pending', 'retry') and next_attempt_at is null;
create index sync_queue_deferred_idx on public.sync_queue (integration_id, next_attempt_at)
  where status in ('pending', 'retry') and next_attempt_at is not null;
create index sync_queue_open_idx on public.sync_queue (integration_id, contact_id)
  where status in ('pending', 'retry', 'processing');
create index sync_queue_failed_idx on public.sync_queue (integration_id, completed_at) where status = 'failed';
create index sync_queue_finished_idx on public.sync_queue (completed_at) where completed_at is not null;
comment on table public.sync_queue is 'Work for the CRMs: one row for each step of each classification on each connection.';
comment on index public.sync_queue_ready_idx is 'The order of the claim; holds rows that may run now.';
comment on index public.sync_queue_deferred_idx is 'Rows that wait for a time; they become ready when it comes.';
comment on index public.sync_queue_open_idx is 'Open rows of a contact: keeps its order.';
comment on index public.sync_queue_failed_idx is 'Failed rows of a connection, for the views and retry_failed.';
comment on index public.sync_queue_finished_idx is 'Finished rows by age, for the purge.';
comment on column public.sync_queue.id is 'Key, ever growing: the order of work within a contact.';
comment on column public.sync_queue.organization_id is 'Whose work it is.';
comment on column public.sync_queue.integration_id is 'The connection to use; null only where there was none and the row was skipped.';
comment on column public.sync_queue.contact_id is 'The contact it is about.';
comment on column public.sync_queue.message_id is 'The message it is about; null for a contact that was synced by hand.';
comment on column public.sync_queue.classification_id is 'The classification that asked for it.';
comment on column public.sync_queue.batch_id is 'The claim that holds the row; the fence against a worker that lost it.';
comment on column public.sync_queue.superseded_by is 'The newer row of the same contact that carried this one''s state to the CRM.';
comment on column public.sync_queue.priority is '1 (first) to 10, from the classification.';
comment on column public.sync_queue.attempts is 'Attempts that count against max_attempts.';
comment on column public.sync_queue.max_attempts is 'After so many attempts the row fails for a human.';
comment on column public.sync_queue.losses is 'How often a daemon vanished while it held the row; costs no attempt, but not without end.';
comment on column public.sync_queue.uncertain is 'An attempt ended without an answer: look into the CRM before sending again.';
comment on column public.sync_queue.queue_type is 'contact_sync, then deal_sync and activity_sync.';
comment on column public.sync_queue.status is 'pending, processing, completed, failed, retry or skipped.';
comment on column public.sync_queue.payload is 'What is not in a column: the deal''s rule, who asked for it. Never a copy of what is sent.';
comment on column public.sync_queue.next_attempt_at is 'Not before this time; null means as soon as possible.';
comment on column public.sync_queue.last_error is 'Why it failed, is being retried or was skipped, in plain words.';
comment on column public.sync_queue.scheduled_at is 'When it was meant to run first.';
comment on column public.sync_queue.started_at is 'When it was last claimed.';
comment on column public.sync_queue.stumbled_at is 'When it last met a CRM that was unavailable.';
comment on column public.sync_queue.completed_at is 'When it was completed, failed or skipped.';
comment on column public.sync_queue.created_at is 'When it was enqueued.';
