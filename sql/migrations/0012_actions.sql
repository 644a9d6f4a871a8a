-- What operators do: pauses of four scopes.

create table crm_sync.pauses (
  scope text not null
    constraint pauses_scope_is_known check (scope = any ('{integration,organization,provider,everything}')),
  key text not null,
  paused_at timestamptz not null default now(),
  paused_by text not null,
  reason text,
  constraint pauses_pkey primary key (scope, key),
  constraint pauses_of_everything_have_no_key check ((scope = 'everything') = (key = ''))
);
comment on table crm_sync.pauses is 'What is paused, by whom and why; crm_sync.lanes says for each connection what that means for it.';
comment on column crm_sync.pauses.scope is 'integration, organization, provider or everything.';
comment on column crm_sync.pauses.key is 'The connection''s or the organization''s id, or the provider''s name; empty for everything.';
comment on column crm_sync.pauses.paused_at is 'Since when.';
comment on column crm_sync.pauses.paused_by is 'Who paused it: the user''s id, or an operator''s role.';
comment on column crm_sync.pauses.reason is 'Why, in that person''s words.';
alter table crm_sync.pauses enable row level security;
alter table crm_sync.pauses force row level security;
create policy owner_all on crm_sync.pauses for all to crm_sync_owner using (true) with check (true);
comment on policy owner_all on crm_sync.pauses is 'The functions of crm_sync, which run as the owner, see and write everything.';
create policy reader_select on crm_sync.pauses for select to crm_sync_reader using (true);
comment on policy reader_select on crm_sync.pauses is 'DBAs and dashboards see every organization.';
create policy members_select on crm_sync.pauses for select to authenticated using (
  scope in ('provider', 'everything')
  or (scope = 'organization' and key = any (array(select m::text from crm_sync.member_organizations() as m)))
  -- which connections those are, row-level security of their table knows
  or (scope = 'integration' and key = any (array(select i.id::text from public.user_integrations as i)))
);
comment on policy members_select on crm_sync.pauses is 'Members see what holds up their organization.';

alter table crm_sync.lanes
  add column paused_scope text,
  add column paused_reason text;
comment on column crm_sync.lanes.paused_at is 'Since when it is paused, by a pause of itself, its organization, its CRM or everything: of several the widest.';
comment on column crm_sync.lanes.paused_scope is 'What was paused: integration, organization, provider or everything.';
comment on column crm_sync.lanes.paused_reason is 'Why it is paused, in the words of whoever paused it.';
insert into crm_sync.pauses (scope, key, paused_at, paused_by)
select 'integration', l.integration_id::text, l.paused_at, coalesce(l.paused_by, 'unknown') from crm_sync.lanes as l where l.paused_at is not null;
update crm_sync.lanes set paused_scope = 'integration' where paused_at is not null;

-- functions that take or return something else from now on
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.spend_budget(bigint, jsonb, interval, bigint, jsonb);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.retry_failed(bigint, text, interval);
