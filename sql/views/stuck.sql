create or replace view crm_sync.stuck with (security_invoker = true) as
select
  s.organization_id,
  s.integration_id,
  s.provider,
  s.contact_id,
  s.queue_id,
  s.waits_for,
  s.blocking_queue_id,
  s.blocking_worker,
  s.since,
  s.until,
  s.reason,
  s.rows_behind
from crm_sync.stuck_rows() as s;
comment on view crm_sync.stuck is 'Reader: who is stuck behind whom: connections that stand still, contacts behind a row of theirs that is being sent, vanished daemons'' leases, rows that wait for their time, sessions behind a lock.';
comment on column crm_sync.stuck.organization_id is 'Whose work it is; null for a session that waits for a lock.';
comment on column crm_sync.stuck.integration_id is 'The connection.';
comment on column crm_sync.stuck.provider is 'Which CRM.';
comment on column crm_sync.stuck.contact_id is 'The contact of the row.';
comment on column crm_sync.stuck.queue_id is 'The row that waits, or the first of those that do.';
comment on column crm_sync.stuck.waits_for is 'the connection, a lease, a row of its contact, its next attempt, the next slot, or a session.';
comment on column crm_sync.stuck.blocking_queue_id is 'The row that it waits for.';
comment on column crm_sync.stuck.blocking_worker is 'The daemon that holds what it waits for.';
comment on column crm_sync.stuck.since is 'Since when.';
comment on column crm_sync.stuck.until is 'Until when, where that is known.';
comment on column crm_sync.stuck.reason is 'Why, in plain words.';
comment on column crm_sync.stuck.rows_behind is 'How many rows wait for the same, counted up to 100; null for one that waits by itself.';
