-- Which setting changed when and by whom.

alter table crm_sync.config
  add column retain_changes interval not null default '2 years';
comment on column crm_sync.config.retain_changes is 'What crm_sync.changes says of a setting is deleted after this time, but for what was in force then.';

create table crm_sync.changes (
  id bigint generated always as identity constraint changes_pkey primary key,
  changed_at timestamptz not null default clock_timestamp(),
  changed_by text not null,
  login text not null default session_user,
  application_name text not null default coalesce(current_setting('application_name', true), ''),
  organization_id uuid references public.organizations (id) on delete cascade,
  integration_id bigint,
  what text not null
    constraint changes_what_is_a_word check (what ~ '^[a-z][a-z_]{1,40}$'),
  key text not null,
  name text not null,
  action text not null
    constraint changes_action_is_known check (action in ('insert', 'update', 'delete')),
  old jsonb,
  new jsonb,
  difference jsonb not null,
  constraint changes_old_and_new_go_with_the_action check ((old is null) = (action = 'insert') and (new is null) = (action = 'delete'))
);
create index changes_organization_idx on crm_sync.changes (organization_id, id);
create index changes_key_idx on crm_sync.changes (what, key, organization_id, id);
create index changes_changed_at_idx on crm_sync.changes (changed_at);
comment on table crm_sync.changes is 'Every change of a setting: connections, rules, CRMs, config; append-only, written by triggers, never with credentials.';
comment on index crm_sync.changes_organization_idx is 'What changed in an organization, and the foreign key.';
comment on index crm_sync.changes_key_idx is 'The history of one thing.';
comment on index crm_sync.changes_changed_at_idx is 'What changed in a time.';
comment on column crm_sync.changes.id is 'Key, ever growing.';
comment on column crm_sync.changes.changed_at is 'When.';
comment on column crm_sync.changes.changed_by is 'Who: the user''s id, else the role; or that it was found when the audit began.';
comment on column crm_sync.changes.login is 'The role that had logged in.';
comment on column crm_sync.changes.application_name is 'What the session called itself.';
comment on column crm_sync.changes.organization_id is 'Whose setting it is; null for what holds for all.';
comment on column crm_sync.changes.integration_id is 'The connection it is about, which may be gone by now.';
comment on column crm_sync.changes.what is 'connection, intent_rule, provider, config, or another kind of setting.';
comment on column crm_sync.changes.key is 'What tells things of a kind apart within the organization: a connection''s id, the intent of a rule, the name of a CRM.';
comment on column crm_sync.changes.name is 'What people call it.';
comment on column crm_sync.changes.action is 'insert, update or delete.';
comment on column crm_sync.changes.old is 'The settings before; null for an insert. Secrets are blanked.';
comment on column crm_sync.changes.new is 'The settings after; null for a delete. Secrets are blanked.';
comment on column crm_sync.changes.difference is 'What changed and nothing else: {"sync_settings.deal_amount": {"before": 1000, "after": 2000}}; a side that was not there is left out.';

alter table crm_sync.changes enable row level security;
alter table crm_sync.changes force row level security;
create policy owner_all on crm_sync.changes for all to crm_sync_owner using (true) with check (true);
comment on policy owner_all on crm_sync.changes is 'The functions of crm_sync, which run as the owner, see and write everything.';
create policy reader_select on crm_sync.changes for select to crm_sync_reader using (true);
comment on policy reader_select on crm_sync.changes is 'DBAs and dashboards see every organization.';
create policy members_select on crm_sync.changes for select to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_select on crm_sync.changes is 'Members see the rows of their organization.';
