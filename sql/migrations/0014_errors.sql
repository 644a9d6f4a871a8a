-- The error registry: what each code of a CRM, and each of ours, means and who must act. Its rows are in sql/errors.sql.

create table crm_sync.errors (
  provider text not null,
  code text not null,
  status integer,
  kind text not null,
  meaning text not null,
  who_must_act text not null,
  remedy text not null,
  source text not null default 'own',
  own_meaning text,
  own_who_must_act text,
  own_remedy text,
  is_shipped boolean not null default false,
  constraint errors_pkey primary key (provider, code),
  constraint errors_code_is_given check (code <> ''),
  constraint errors_status_is_of_http check (status between 100 and 599),
  constraint errors_kind_is_known check (kind in (
    'rate_limited', 'unavailable', 'unauthorized', 'rejected', 'contended', 'bug', 'connection', 'mapping', 'other'
  )),
  constraint errors_somebody_acts check (who_must_act in (
    'nobody', 'operator', 'crm_admin', 'data_owner', 'connection_owner', 'developer', 'crm_vendor'
  )),
  constraint errors_somebody_of_ours_acts check (own_who_must_act in (
    'nobody', 'operator', 'crm_admin', 'data_owner', 'connection_owner', 'developer', 'crm_vendor'
  ))
);
-- a code that ends in * stands for all that begin so: these few are looked through where no row has the code itself
create index errors_families_idx on crm_sync.errors (provider, code) where code like '%*';
comment on table crm_sync.errors is 'What each code of a CRM, and each of ours, means, who must act and what to do; an installation''s own rows and words stay when a new version brings its own.';
comment on column crm_sync.errors.provider is 'The CRM whose code it is; empty where it is ours or may come from any.';
comment on column crm_sync.errors.code is 'The code as a failure carries it; one that ends in * stands for all that begin so.';
comment on column crm_sync.errors.status is 'The HTTP status that it comes with, where it comes with one.';
comment on column crm_sync.errors.kind is 'What it is treated as: rate_limited, unavailable, unauthorized, rejected, contended or bug; connection, mapping and other are no answers of a CRM.';
comment on column crm_sync.errors.meaning is 'What it means, in plain words.';
comment on column crm_sync.errors.who_must_act is 'nobody (it passes by itself), operator (who runs pg-crm-sync), crm_admin (an administrator of the CRM), data_owner (who keeps the contact data), connection_owner (who connected the CRM), developer (of pg-crm-sync) or crm_vendor (the CRM''s support).';
comment on column crm_sync.errors.remedy is 'What to do, with the function or the command to run.';
comment on column crm_sync.errors.source is 'Where it is documented.';
comment on column crm_sync.errors.own_meaning is 'This installation''s words in place of meaning.';
comment on column crm_sync.errors.own_who_must_act is 'This installation''s choice in place of who_must_act.';
comment on column crm_sync.errors.own_remedy is 'This installation''s words in place of remedy.';
comment on column crm_sync.errors.is_shipped is 'Whether it came with pg-crm-sync and is kept up to date; false for an installation''s own row.';
comment on index crm_sync.errors_families_idx is 'For codes of which only the beginning is known.';

do $$
begin
  execute 'alter table crm_sync.errors enable row level security';
  execute 'alter table crm_sync.errors force row level security';
  execute 'create policy owner_all on crm_sync.errors for all to crm_sync_owner using (true) with check (true)';
  execute 'create policy reader_select on crm_sync.errors for select to crm_sync_reader using (true)';
  execute 'create policy members_select on crm_sync.errors for select to authenticated using (true)';
end;
$$;
comment on policy owner_all on crm_sync.errors is 'The functions of crm_sync, which run as the owner, see and write everything.';
comment on policy reader_select on crm_sync.errors is 'DBAs and dashboards see every row.';
comment on policy members_select on crm_sync.errors is 'Members see every row: there is nothing of anybody in it.';

-- both come again by their files
-- squawk-ignore ban-drop-view
drop view if exists crm_sync.failures;
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.failure_meaning(text, text);
