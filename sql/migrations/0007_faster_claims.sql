-- What claims of one connection need to know of each other, with the batch instead of in its rows.

alter table crm_sync.batches
  add column contact_ids uuid[] not null default '{}',
  add column took_all boolean not null default false;
comment on column crm_sync.batches.contact_ids is 'Whose rows they are: no other batch may take work of these contacts.';
comment on column crm_sync.batches.took_all is 'When it was claimed, it was all there was to take from the connection.';
update crm_sync.batches as b
set contact_ids = array(
  select distinct q.contact_id from unnest(b.row_ids) as u (id) join public.sync_queue as q on q.organization_id = b.organization_id and q.id = u.id
);

-- A claim changes no column that an index knows, so it rewrites the row in its page and no index at all (HOT). Whether a
-- row is open is therefore asked of completed_at, which only the end of its work sets; the constraint ties it to the status.
update public.sync_queue set failure = '{"kind": "other"}' where status = 'failed' and failure is null;
alter table public.sync_queue set (fillfactor = 70);
alter table public.sync_queue
  -- squawk-ignore constraint-missing-not-valid
  add constraint sync_queue_finished_is_what_has_ended check (
    (completed_at is not null) = (status in ('completed', 'failed', 'skipped')) and (status <> 'failed' or failure is not null)
  );
-- squawk-ignore require-concurrent-index-deletion
drop index public.sync_queue_ready_idx, public.sync_queue_deferred_idx, public.sync_queue_open_idx, public.sync_queue_failed_idx;
create index sync_queue_ready_idx on public.sync_queue (integration_id, priority, id) where completed_at is null and next_attempt_at is null;
create index sync_queue_deferred_idx on public.sync_queue (integration_id, next_attempt_at) where completed_at is null and next_attempt_at is not null;
create index sync_queue_open_idx on public.sync_queue (integration_id, contact_id) where completed_at is null;
create index sync_queue_failed_idx on public.sync_queue (integration_id, completed_at) where completed_at is not null and failure is not null;
create index sync_queue_skipped_idx on public.sync_queue (integration_id) where completed_at is not null and failure is null and last_error is not null;
comment on index public.sync_queue_ready_idx is 'The order of the claim; holds rows that may run now, and those that do.';
comment on index public.sync_queue_deferred_idx is 'Rows that wait for a time; they become ready when it comes.';
comment on index public.sync_queue_open_idx is 'Open rows of a contact: keeps its order.';
comment on index public.sync_queue_failed_idx is 'Failed rows of a connection, for the views and retry_failed.';
comment on index public.sync_queue_skipped_idx is 'Skipped rows of a connection, for the views.';

-- functions that take or return something else from now on
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.skip_unsendable(uuid, bigint, bigint[]);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.settle_rows(crm_sync.batches, crm_sync.lanes, jsonb);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.allowed_in_flight(jsonb, integer);

-- The log's partitions are days, weeks or months now, by what is retained; and what waits in the default one is purged by age.
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.purge(integer);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.make_log_partitions(integer);
create index sync_activity_logs_default_created_at_idx on public.sync_activity_logs_default (created_at);
comment on index public.sync_activity_logs_default_created_at_idx is 'Finds what time the default partition has entries of; it is nearly always empty.';
comment on table public.sync_activity_logs is 'Every effect and every failure, append-only, partitioned by time.';
comment on column crm_sync.config.retain_logs is
  'Partitions of the activity log are dropped after this time: days up to 14 days, weeks up to 120 days, months beyond.';

-- What is composed is carried as text: json, and a rule of a mapping with what is the same for all records of a batch worked out.
create type crm_sync.mapping_rule as (
  target text, source text, constant text, words jsonb, only_mapped boolean, options jsonb, substitute text, keeps_unknown boolean, policy text, ranks json
);
alter type crm_sync.mapping_rule owner to crm_sync_owner;
comment on type crm_sync.mapping_rule is 'A rule of a mapping, with all that is the same for each record of a batch.';
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.mapping_rules(uuid, bigint, text);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.compose_fields(jsonb, jsonb, jsonb);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.compose_contacts(uuid, bigint, bigint[]);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.compose_deals(uuid, bigint, bigint[]);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.compose_activities(uuid, bigint, bigint[]);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.compose_tasks(uuid, bigint, bigint[]);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.compose_batch(bigint);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.read_batch(bigint);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.claim_batch(uuid, integer, bigint[], interval);
