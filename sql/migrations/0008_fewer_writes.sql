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
