create or replace view crm_sync.oldest_unsent with (security_invoker = true) as
select
  i.organization_id,
  i.id as integration_id,
  p.name as provider,
  o.created_at as oldest_at,
  date_trunc('milliseconds', now() - o.created_at) as wait,
  case
    when i.status = 'error' then 'the connection needs a person first: ' || coalesce(i.last_error, l.parked_reason, 'see public.user_integrations')
    when i.status = 'disconnected' then 'the CRM is disconnected; this waits until it is connected again'
    when not p.is_active then 'the CRM is switched off in public.integration_providers'
    when l.paused_at is not null then concat_ws(': ', case l.paused_scope when 'everything' then 'everything is ' when 'provider' then p.display_name || ' is ' when 'organization' then 'the organization is ' else '' end
      || 'paused by ' || coalesce(l.paused_by, 'an operator'), l.paused_reason)
    when l.parked_until > now() then coalesce(l.parked_reason, l.parked_kind) || case when l.parked_until < 'infinity' then '; goes on at ' || l.parked_until::timestamptz(0) else '' end
    when o.status = 'processing' then 'a daemon is working on it'
    when not d.is_running then 'no daemon is alive'
    when o.next_attempt_at > now() and o.status = 'retry' then 'is tried again at ' || o.next_attempt_at::timestamptz(0) || coalesce(': ' || o.last_error, '')
    when o.next_attempt_at > now() then 'this connection works ' || i.sync_frequency || '; its next slot is ' || o.next_attempt_at::timestamptz(0)
    when o.status = 'retry' then 'is tried again in its turn' || coalesce(': ' || o.last_error, '')
    else 'it is not its turn yet'
  end as reason,
  o.queue_id
from crm_sync.oldest_rows() as o
join crm_sync.lanes as l on l.organization_id = o.organization_id and l.integration_id = o.integration_id
join public.user_integrations as i on i.organization_id = o.organization_id and i.id = o.integration_id
join public.integration_providers as p on p.id = i.provider_id
cross join (select crm_sync.is_running() as is_running) as d;
comment on view crm_sync.oldest_unsent is 'Reader: the oldest row of each connection that has not been sent, how long it has waited, and for what.';
comment on column crm_sync.oldest_unsent.organization_id is 'Whose connection it is.';
comment on column crm_sync.oldest_unsent.integration_id is 'The connection.';
comment on column crm_sync.oldest_unsent.provider is 'Which CRM.';
comment on column crm_sync.oldest_unsent.oldest_at is 'When it was enqueued.';
comment on column crm_sync.oldest_unsent.wait is 'How long that is ago.';
comment on column crm_sync.oldest_unsent.reason is 'What it waits for, in plain words.';
comment on column crm_sync.oldest_unsent.queue_id is 'The row in public.sync_queue.';
