-- Connections that people make and end: authorizations under way, the account behind, the life of a token, a fence against copies.

do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'crm_sync_console') then
    begin
      create role crm_sync_console nologin;
    exception when duplicate_object or unique_violation then
      null; -- another database of this cluster is being migrated at this moment
    end;
  end if;
  grant authenticated to crm_sync_console;
end;
$$;
comment on role crm_sync_console is 'What the web console works as: a member''s rights where it shows, and a few functions where it connects; never more than the user who asks.';

alter table public.user_integrations
  add column account_id text,
  add column account_name text,
  add column account_url text
    constraint user_integrations_account_url_is_web check (account_url ~ '^https?://[^[:space:]"<>]+$'),
  add column is_refreshable boolean not null default false,
  add column credentials_at timestamptz,
  add column disconnected_at timestamptz;
comment on column public.user_integrations.account_id is 'The CRM''s id of the account that the external ids of this connection belong to: HubSpot''s portal, Salesforce''s organization, Pipedrive''s company.';
comment on column public.user_integrations.account_name is 'What people call that account.';
comment on column public.user_integrations.account_url is 'Where people open that account; links to records begin with it.';
comment on column public.user_integrations.is_refreshable is 'Whether the credentials hold a refresh token, so that the daemon keeps them alive.';
comment on column public.user_integrations.credentials_at is 'When the credentials were last written: by a person who connected, or by a daemon that refreshed a token.';
comment on column public.user_integrations.disconnected_at is 'Since when it is disconnected; deleted when delete_disconnected_after of crm_sync.config has passed.';
-- the triggers' own affair from now on; whoever is connected may have a refresh token: the daemon finds out
alter table public.user_integrations disable trigger user;
update public.user_integrations
set is_refreshable = credentials is not null,
  credentials_at = case when credentials is not null then updated_at end,
  disconnected_at = case when status = 'disconnected' then now() end;
alter table public.user_integrations enable trigger user;
create index user_integrations_idle_idx on public.user_integrations (provider_id, credentials_at) where is_refreshable and status in ('connected', 'syncing');
create index user_integrations_disconnected_idx on public.user_integrations (disconnected_at) where status = 'disconnected';
comment on index public.user_integrations_idle_idx is 'Finds the tokens of each CRM that nobody has refreshed for long.';
comment on index public.user_integrations_disconnected_idx is 'Finds what has been disconnected for long.';

alter table crm_sync.lanes
  add column connected_at timestamptz not null default '-infinity',
  add column connected_version bigint not null default 0,
  add column refresh_after timestamptz,
  add column refresh_failures integer not null default 0,
  add column other_account jsonb;
comment on column crm_sync.lanes.connected_at is 'When somebody last gave it credentials: what a CRM refuses of a batch that was claimed before says nothing of them.';
comment on column crm_sync.lanes.connected_version is 'The version of the credentials that were given then; a refresh raises credentials_version only. What was learned of the account with older ones is void.';
comment on column crm_sync.lanes.refresh_after is 'Its idle token is not refreshed before this time: a daemon is at it, or the last attempt came to nothing.';
comment on column crm_sync.lanes.refresh_failures is 'Attempts to refresh its idle token since one last succeeded.';
comment on column crm_sync.lanes.other_account is 'The account that new credentials turned out to belong to, if it is another than before: {"id", "name", "url"}; nothing is sent until crm_sync.adopt_account().';

alter table crm_sync.config
  add column delete_disconnected_after interval not null default '90 days',
  add column refresh_idle_after interval not null default '1 day',
  add column retain_samples interval not null default '30 days';
comment on column crm_sync.config.delete_disconnected_after is 'A connection is deleted, with its mappings and its log, after it has been disconnected for so long.';
comment on column crm_sync.config.refresh_idle_after is 'Tokens that nobody has refreshed for so long are refreshed by a daemon (after 10 minutes at the earliest): refresh tokens die of disuse.';
comment on column crm_sync.config.retain_samples is 'Samples for the charts are deleted after this time.';

create table crm_sync.authorizations (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  state_hash bytea not null,
  session_hash bytea not null,
  provider_id bigint not null references public.integration_providers (id) on delete cascade,
  user_id text not null,
  name text not null,
  sealed_verifier bytea not null,
  redirect_uri text not null,
  login_url text,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '10 minutes',
  used_at timestamptz,
  constraint authorizations_pkey primary key (organization_id, state_hash)
);
create index authorizations_state_idx on crm_sync.authorizations (state_hash);
create index authorizations_provider_id_idx on crm_sync.authorizations (provider_id);
create index authorizations_expires_idx on crm_sync.authorizations (expires_at);
comment on table crm_sync.authorizations is 'People who were sent to a CRM to consent and are expected back: each row serves once, for ten minutes.';
comment on index crm_sync.authorizations_state_idx is 'Finds the row of somebody who comes back.';
comment on index crm_sync.authorizations_provider_id_idx is 'For the foreign key.';
comment on index crm_sync.authorizations_expires_idx is 'For the purge.';
comment on column crm_sync.authorizations.organization_id is 'For whom the CRM is to be connected.';
comment on column crm_sync.authorizations.state_hash is 'SHA-256 of the state that travels with the browser.';
comment on column crm_sync.authorizations.session_hash is 'SHA-256 of the secret that only the browser that left has.';
comment on column crm_sync.authorizations.provider_id is 'Which CRM.';
comment on column crm_sync.authorizations.user_id is 'Who asked: the user''s id, or an operator''s role.';
comment on column crm_sync.authorizations.name is 'Name of the connection to be made or renewed.';
comment on column crm_sync.authorizations.sealed_verifier is 'The PKCE verifier, sealed with the encryption key.';
comment on column crm_sync.authorizations.redirect_uri is 'Where the CRM sends the browser; the exchange of the code must repeat it.';
comment on column crm_sync.authorizations.login_url is 'The host where this user logs in, where that is not the provider''s (a Salesforce sandbox or My Domain).';
comment on column crm_sync.authorizations.created_at is 'When the user left.';
comment on column crm_sync.authorizations.expires_at is 'Until when the user may come back.';
comment on column crm_sync.authorizations.used_at is 'When somebody came with this state; nobody else can.';

create table crm_sync.revocations (
  id bigint generated always as identity,
  organization_id uuid not null,
  integration_id bigint not null,
  provider_id bigint not null references public.integration_providers (id) on delete cascade,
  account_id text,
  credentials_version bigint not null,
  sealed_credentials text not null,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_error text,
  created_at timestamptz not null default now(),
  constraint revocations_pkey primary key (organization_id, id)
);
create index revocations_next_idx on crm_sync.revocations (next_attempt_at);
create index revocations_provider_id_idx on crm_sync.revocations (provider_id);
comment on table crm_sync.revocations is 'Credentials of connections that have ended, sealed, until a daemon has revoked them at the CRM; no foreign key to what may be gone.';
comment on index crm_sync.revocations_next_idx is 'What is due.';
comment on index crm_sync.revocations_provider_id_idx is 'For the foreign key.';
comment on column crm_sync.revocations.id is 'Key within the organization.';
comment on column crm_sync.revocations.organization_id is 'Whose connection it was.';
comment on column crm_sync.revocations.integration_id is 'The connection that ended.';
comment on column crm_sync.revocations.provider_id is 'Which CRM.';
comment on column crm_sync.revocations.account_id is 'The account: where another connection uses it, nothing is revoked.';
comment on column crm_sync.revocations.credentials_version is 'Of the connection, when it ended: a refresh that was under way then replaces what is kept here.';
comment on column crm_sync.revocations.sealed_credentials is 'As they were stored.';
comment on column crm_sync.revocations.attempts is 'How often it was tried.';
comment on column crm_sync.revocations.next_attempt_at is 'Not before this time.';
comment on column crm_sync.revocations.last_error is 'Why it did not work, in plain words.';
comment on column crm_sync.revocations.created_at is 'When the connection ended.';

-- with the version of the connection that they are about
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.open_credentials(bigint);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.mark_schema_ready(bigint, boolean, jsonb);

create table crm_sync.fence (
  is_only boolean primary key default true constraint fence_has_one_row check (is_only),
  system_identifier text not null,
  database_oid oid not null,
  generation bigint not null default 1,
  claimed_at timestamptz not null default now(),
  claimed_by text not null
);
comment on table crm_sync.fence is 'Which database may send: a copy of it, restored or cloned, finds another identity here than its own, and its daemons stop.';
comment on column crm_sync.fence.is_only is 'There is one row.';
comment on column crm_sync.fence.system_identifier is 'Of the cluster that was claimed; empty where the server does not tell.';
comment on column crm_sync.fence.database_oid is 'Of the database that was claimed.';
comment on column crm_sync.fence.generation is 'Rises with each claim: daemons of an older one stop.';
comment on column crm_sync.fence.claimed_at is 'When it was claimed.';
comment on column crm_sync.fence.claimed_by is 'Who claimed it.';

create table crm_sync.samples (
  organization_id uuid not null,
  integration_id bigint not null,
  sampled_at timestamptz not null,
  synced bigint not null,
  waiting bigint not null,
  failed bigint not null,
  oldest_wait interval,
  constraint samples_pkey primary key (organization_id, integration_id, sampled_at),
  constraint samples_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
);
create index samples_sampled_at_idx on crm_sync.samples (sampled_at);
comment on table crm_sync.samples is 'How each connection stood, minute by minute, for the charts; a minute in which nothing changed has no row.';
comment on index crm_sync.samples_sampled_at_idx is 'For the purge.';
comment on column crm_sync.samples.organization_id is 'Whose connection it is.';
comment on column crm_sync.samples.integration_id is 'The connection.';
comment on column crm_sync.samples.sampled_at is 'The minute.';
comment on column crm_sync.samples.synced is 'Rows that the CRM had confirmed, ever.';
comment on column crm_sync.samples.waiting is 'Rows that waited, ran or were to be tried again.';
comment on column crm_sync.samples.failed is 'Rows that had failed and waited for a human.';
comment on column crm_sync.samples.oldest_wait is 'How long the oldest of the waiting had waited; null where none did.';

-- squawk-ignore require-concurrent-index-creation
create index sync_queue_stuck_idx on public.sync_queue (contact_id) where completed_at is not null and last_error is not null;
comment on index public.sync_queue_stuck_idx is 'What of a contact failed or was not sent.';

do $$
declare
  v_table text;
begin
  foreach v_table in array array['authorizations', 'revocations', 'fence', 'samples'] loop
    execute format('alter table crm_sync.%I enable row level security', v_table);
    execute format('alter table crm_sync.%I force row level security', v_table);
    execute format('create policy owner_all on crm_sync.%I for all to crm_sync_owner using (true) with check (true)', v_table);
    execute format('comment on policy owner_all on crm_sync.%I is %L', v_table, 'The functions of crm_sync, which run as the owner, see and write everything.');
  end loop;
  foreach v_table in array array['fence', 'samples'] loop
    execute format('create policy reader_select on crm_sync.%I for select to crm_sync_reader using (true)', v_table);
    execute format('comment on policy reader_select on crm_sync.%I is %L', v_table, 'DBAs and dashboards see every organization.');
  end loop;
end;
$$;
create policy members_select on crm_sync.samples for select to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_select on crm_sync.samples is 'Members see the rows of their organization.';
