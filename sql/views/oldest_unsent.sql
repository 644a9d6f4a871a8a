create or replace view crm_sync.oldest_unsent with (security_invoker = true) as
select
  i.organization_id,
  i.id as integration_id,
  p.name as provider,
  o.created_at as oldest_at,
  date_trunc('milliseconds', now() - o.created_at) as wait,
  case
    when o.status = 'processing' and coalesce(s.kind, 'no_daemon') = 'no_daemon' then 'a daemon is working on it'
    when s.kind is not null then s.reason || coalesce('; goes on at ' || s.until::timestamptz(0), '')
    when o.next_attempt_at > now() and o.status = 'retry' then 'is tried again at ' || o.next_attempt_at::timestamptz(0) || coalesce(': ' || o.last_error, '')
    when o.next_attempt_at > now() then 'this connection works ' || i.sync_frequency || '; its next slot is ' || o.next_attempt_at::timestamptz(0)
    when o.status = 'retry' then 'is tried again in its turn' || coalesce(': ' || o.last_error, '')
    else 'it is not its turn yet'
  end as reason,
  o.queue_id
from crm_sync.oldest_rows() as o
join public.user_integrations as i on i.organization_id = o.organization_id and i.id = o.integration_id
join public.integration_providers as p on p.id = i.provider_id
left join lateral crm_sync.standstill(o.organization_id, o.integration_id) as s on true;
comment on view crm_sync.oldest_unsent is 'Reader: the oldest row of each connection that has not been sent, how long it has waited, and for what.';
comment on column crm_sync.oldest_unsent.organization_id is 'Whose connection it is.';
comment on column crm_sync.oldest_unsent.integration_id is 'The connection.';
comment on column crm_sync.oldest_unsent.provider is 'Which CRM.';
comment on column crm_sync.oldest_unsent.oldest_at is 'When it was enqueued.';
comment on column crm_sync.oldest_unsent.wait is 'How long that is ago.';
comment on column crm_sync.oldest_unsent.reason is 'What it waits for, in plain words.';
comment on column crm_sync.oldest_unsent.queue_id is 'The row in public.sync_queue.';
