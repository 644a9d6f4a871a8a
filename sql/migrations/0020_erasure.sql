-- People who were erased: what holds none of their data and keeps them from being sent again; and bounds of retentions.

alter table public.sync_queue
  -- squawk-ignore ban-drop-constraint
  drop constraint sync_queue_queue_type_is_known,
  -- wider than before, so no row can be against it, and producers need not wait until millions of rows are looked at
  add constraint sync_queue_queue_type_is_known check (queue_type = any ('{contact_sync,deal_sync,activity_sync,contact_erasure}')) not valid;
comment on column public.sync_queue.queue_type is 'contact_sync, then deal_sync and activity_sync; contact_erasure deletes in the CRM what was made for somebody who was erased.';

alter table crm_sync.batches add column erased jsonb;
comment on column crm_sync.batches.erased is
  'Rows of it that were erased while it was under way, each with the row that deletes in the CRM (or null): what is still said of them is not recorded; null in nearly all batches.';

create table crm_sync.erasures (
  organization_id uuid not null,
  contact_id uuid not null,
  erased_at timestamptz not null default now(),
  erased_by text not null,
  reason text,
  removed jsonb not null default '{}',
  asked bigint[] not null default '{}',
  reached bigint[] not null default '{}',
  reached_at timestamptz,
  lifted_at timestamptz,
  lifted_by text,
  constraint erasures_pkey primary key (organization_id, contact_id),
  constraint erasures_organization_fkey foreign key (organization_id) references public.organizations (id) on delete cascade,
  constraint erasures_lifted_by_somebody check ((lifted_at is null) = (lifted_by is null))
);
comment on table crm_sync.erasures is 'Contacts that were erased, by their id alone: nothing of them is sent again until that is lifted.';
comment on column crm_sync.erasures.organization_id is 'Whose contact it was.';
comment on column crm_sync.erasures.contact_id is 'The host application''s id of the contact.';
comment on column crm_sync.erasures.erased_at is 'When; the last time, if more than once.';
comment on column crm_sync.erasures.erased_by is 'Who: the user''s id, or an operator''s role.';
comment on column crm_sync.erasures.reason is 'Why, in that person''s words, without what names the contact.';
comment on column crm_sync.erasures.removed is 'How many rows of which table were removed or blanked.';
comment on column crm_sync.erasures.asked is 'Connections in whose CRM all that was made for the contact is to be deleted.';
comment on column crm_sync.erasures.reached is 'Those of them whose CRM has confirmed it.';
comment on column crm_sync.erasures.reached_at is 'When the last of them did.';
comment on column crm_sync.erasures.lifted_at is 'Since when the contact may be sent again.';
comment on column crm_sync.erasures.lifted_by is 'Who said so.';

alter table crm_sync.erasures enable row level security;
alter table crm_sync.erasures force row level security;
create policy owner_all on crm_sync.erasures for all to crm_sync_owner using (true) with check (true);
comment on policy owner_all on crm_sync.erasures is 'The functions of crm_sync, which run as the owner, see and write everything.';
create policy reader_select on crm_sync.erasures for select to crm_sync_reader using (true);
comment on policy reader_select on crm_sync.erasures is 'DBAs and dashboards see every organization.';
create policy members_select on crm_sync.erasures for select to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_select on crm_sync.erasures is 'Members see the rows of their organization.';

-- A retention below nothing would delete what is not there yet, and one without end is none.
update crm_sync.config
set retain_finished = greatest(least(retain_finished, '100 years'), '0'), retain_logs = greatest(least(retain_logs, '100 years'), '0'),
  retain_changes = greatest(least(retain_changes, '100 years'), '0'), retain_samples = greatest(least(retain_samples, '100 years'), '0'),
  delete_disconnected_after = greatest(least(delete_disconnected_after, '100 years'), '0')
where not (
  retain_finished between '0' and '100 years' and retain_logs between '0' and '100 years' and retain_changes between '0' and '100 years'
  and retain_samples between '0' and '100 years' and delete_disconnected_after between '0' and '100 years'
);
alter table crm_sync.config
  -- squawk-ignore constraint-missing-not-valid
  add constraint config_retentions_are_up_to_100_years check (
    retain_finished between interval '0' and interval '100 years' and retain_logs between interval '0' and interval '100 years'
    and retain_changes between interval '0' and interval '100 years' and retain_samples between interval '0' and interval '100 years'
    and delete_disconnected_after between interval '0' and interval '100 years'
  );
