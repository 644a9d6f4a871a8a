create or replace view crm_sync.status with (security_invoker = true) as
select
  i.organization_id,
  i.id as integration_id,
  p.name as provider,
  i.name,
  crm_sync.connection_state(i.status, l) as state,
  c.waiting,
  c.running,
  c.retrying,
  c.failed,
  c.skipped,
  date_trunc('milliseconds', now() - c.oldest_at) as oldest_wait,
  l.last_success_at as last_success,
  case when i.status = 'error' then i.last_error when l.parked_until > now() then l.parked_reason else l.last_error end as last_error,
  case when l.parked_until > now() and l.parked_until < 'infinity' then l.parked_until end as resumes_at,
  c.counted_at
from crm_sync.lane_counts() as c
join crm_sync.lanes as l on l.organization_id = c.organization_id and l.integration_id = c.integration_id
join public.user_integrations as i on i.organization_id = l.organization_id and i.id = l.integration_id
join public.integration_providers as p on p.id = i.provider_id;
comment on view crm_sync.status is 'Reader: one row for each connection: what waits, runs, failed, since when, and why.';
comment on column crm_sync.status.organization_id is 'Whose connection it is.';
comment on column crm_sync.status.integration_id is 'The connection.';
comment on column crm_sync.status.provider is 'Which CRM.';
comment on column crm_sync.status.name is 'Its name.';
comment on column crm_sync.status.state is 'connected, syncing, disconnected, error, paused, or why it is left alone: rate_limited, unavailable, unauthorized, other_account.';
comment on column crm_sync.status.waiting is 'Rows that have not been tried yet.';
comment on column crm_sync.status.running is 'Rows a daemon is working on.';
comment on column crm_sync.status.retrying is 'Rows that will be tried again.';
comment on column crm_sync.status.failed is 'Rows that failed and wait for a human.';
comment on column crm_sync.status.skipped is 'Rows that were not sent, each with its reason.';
comment on column crm_sync.status.oldest_wait is 'How long the oldest unsent row has waited.';
comment on column crm_sync.status.last_success is 'When the CRM last confirmed something.';
comment on column crm_sync.status.last_error is 'The last failure, in plain words.';
comment on column crm_sync.status.resumes_at is 'When a connection that is left alone is tried again.';
comment on column crm_sync.status.counted_at is 'When the rows were counted: now, or, of a connection with very many rows, a while ago.';
