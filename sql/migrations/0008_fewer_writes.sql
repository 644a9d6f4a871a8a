-- An effect is written twice, when it is meant and when it is confirmed: the second time in its page, past the indexes.
alter table crm_sync.effects set (fillfactor = 50);

-- A lookup must not depend on statistics: one index begins with what it looks up, and no other has that column at all.
-- squawk-ignore ban-drop-constraint
alter table public.contact_sync_mappings drop constraint contact_sync_mappings_contact_key;
-- squawk-ignore disallowed-unique-constraint, constraint-missing-not-valid
alter table public.contact_sync_mappings add constraint contact_sync_mappings_contact_key unique (contact_id, organization_id, integration_id);
-- squawk-ignore require-concurrent-index-deletion
drop index public.contact_sync_mappings_external_contact_key;
-- squawk-ignore require-concurrent-index-creation
create unique index contact_sync_mappings_external_contact_key
  on public.contact_sync_mappings (external_contact_id, integration_id) where external_contact_id is not null;
comment on index public.contact_sync_mappings_external_contact_key is 'One record of a CRM belongs to one contact.';
-- squawk-ignore require-concurrent-index-deletion
drop index public.contact_sync_mappings_contact_idx;
-- squawk-ignore require-concurrent-index-creation
create index contact_sync_mappings_integration_idx on public.contact_sync_mappings (organization_id, integration_id);
comment on index public.contact_sync_mappings_integration_idx is 'The mappings of a connection.';

-- The open rows of a contact come out of the index in their order.
-- squawk-ignore require-concurrent-index-deletion
drop index public.sync_queue_open_idx;
-- squawk-ignore require-concurrent-index-creation
create index sync_queue_open_idx on public.sync_queue (integration_id, contact_id, id) where completed_at is null;
comment on index public.sync_queue_open_idx is 'Open rows of a contact, in its order.';

-- What lives for a second is not worth compressing.
alter table crm_sync.batches alter column row_ids set storage external, alter column contact_ids set storage external;

-- functions that take something else from now on
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.withhold_shared_addresses(uuid, bigint, bigint[]);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.claim_batch(uuid, integer, bigint[], interval);

-- A check's list is a constant and no expression to be folded again by every statement that writes one row.
alter table public.sync_queue
  -- squawk-ignore ban-drop-constraint
  drop constraint sync_queue_status_is_known,
  -- squawk-ignore ban-drop-constraint
  drop constraint sync_queue_queue_type_is_known,
  -- squawk-ignore ban-drop-constraint
  drop constraint sync_queue_finished_is_what_has_ended,
  -- squawk-ignore constraint-missing-not-valid
  add constraint sync_queue_status_is_known check (status = any ('{pending,processing,completed,failed,retry,skipped}')),
  -- squawk-ignore constraint-missing-not-valid
  add constraint sync_queue_queue_type_is_known check (queue_type = any ('{contact_sync,deal_sync,activity_sync}')),
  -- squawk-ignore constraint-missing-not-valid
  add constraint sync_queue_finished_is_what_has_ended check (
    (completed_at is not null) = (status = any ('{completed,failed,skipped}')) and (status <> 'failed' or failure is not null)
  );

-- What the producers' trigger looks at first.
create table crm_sync.routes (
  organization_id uuid not null,
  integration_id bigint,
  constraint routes_pkey primary key (organization_id),
  constraint routes_organization_fkey foreign key (organization_id) references public.organizations (id) on delete cascade,
  constraint routes_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
) with (fillfactor = 70);
create index routes_integration_idx on crm_sync.routes (organization_id, integration_id);
comment on index crm_sync.routes_integration_idx is 'Finds the route to a connection that is deleted.';
comment on table crm_sync.routes is 'The short way of an insert: organizations all of whose classifications go to one connection, at once and unfiltered.';
comment on column crm_sync.routes.organization_id is 'Whose classifications they are.';
comment on column crm_sync.routes.integration_id is 'The one connection; null where there are several, or one that filters, waits for slots or is switched off: each classification is judged then.';
alter table crm_sync.routes enable row level security;
alter table crm_sync.routes force row level security;
create policy owner_all on crm_sync.routes for all to crm_sync_owner using (true) with check (true);
comment on policy owner_all on crm_sync.routes is 'The functions of crm_sync, which run as the owner, see and write everything.';
create policy reader_select on crm_sync.routes for select to crm_sync_reader using (true);
comment on policy reader_select on crm_sync.routes is 'DBAs and dashboards see every organization.';
create policy members_select on crm_sync.routes for select to authenticated using (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_select on crm_sync.routes is 'Members see the rows of their organization.';
lock table public.user_integrations in share row exclusive mode;
insert into crm_sync.routes (organization_id, integration_id)
select i.organization_id, case
    when count(*) = 1 and bool_and(i.sync_frequency = 'realtime' and i.sync_filters = '{}' and i.sync_settings ->> 'auto_sync_contacts' is distinct from 'false')
    then min(i.id)
  end
from public.user_integrations as i
join public.integration_providers as p on p.id = i.provider_id and p.is_active
where i.status <> 'disconnected'
group by i.organization_id;
