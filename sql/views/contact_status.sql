create or replace view crm_sync.contact_status with (security_invoker = true) as
select
  b.organization_id,
  b.integration_id,
  b.contact_id,
  case
    when q.open > 0 and q.has_running then 'running'
    when q.open > 0 and q.has_retry then 'retrying'
    when q.open > 0 then 'waiting'
    when q.last_status = 'failed' then 'failed'
    when q.last_status = 'skipped' and coalesce(m.sync_status, 'pending') <> 'synced' then 'skipped'
    else coalesce(m.sync_status, 'pending')
  end as state,
  m.external_contact_id,
  m.external_company_id,
  m.external_deal_id,
  m.last_synced_at,
  coalesce(q.open_error, case when q.last_status in ('failed', 'skipped') then q.last_error end) as last_error,
  case when q.open > 0 then coalesce(q.next_attempt_at, now()) end as next_attempt_at
-- a union and a grouped join, so that both all contacts and one contact are asked in one pass
from (
  select m.organization_id, m.integration_id, m.contact_id
  from public.contact_sync_mappings as m
  union
  select q.organization_id, q.integration_id, q.contact_id
  from public.sync_queue as q
  where q.integration_id is not null and q.contact_id is not null
) as b
left join public.contact_sync_mappings as m
  on m.organization_id = b.organization_id and m.integration_id = b.integration_id and m.contact_id = b.contact_id
left join (
  select
    q.organization_id, q.integration_id, q.contact_id,
    count(*) filter (where q.status in ('pending', 'retry', 'processing')) as open,
    bool_or(q.status = 'processing') as has_running,
    bool_or(q.status = 'retry') as has_retry,
    min(q.next_attempt_at) filter (where q.status in ('pending', 'retry', 'processing')) as next_attempt_at,
    max(q.last_error) filter (where q.status in ('pending', 'retry', 'processing')) as open_error,
    (array_agg(q.status order by (q.status = 'failed') desc, q.id desc))[1] as last_status,
    (array_agg(q.last_error order by (q.status = 'failed') desc, q.id desc))[1] as last_error
  from public.sync_queue as q
  group by q.organization_id, q.integration_id, q.contact_id
) as q on q.organization_id = b.organization_id and q.integration_id = b.integration_id and q.contact_id = b.contact_id;
comment on view crm_sync.contact_status is 'Reader: one row for each contact and connection: where it stands, its ids in the CRM, and what comes next.';
comment on column crm_sync.contact_status.organization_id is 'Whose contact it is.';
comment on column crm_sync.contact_status.integration_id is 'The connection.';
comment on column crm_sync.contact_status.contact_id is 'The contact.';
comment on column crm_sync.contact_status.state is 'waiting, running, retrying, failed, skipped, synced, conflict or error.';
comment on column crm_sync.contact_status.external_contact_id is 'The CRM''s id of the contact.';
comment on column crm_sync.contact_status.external_company_id is 'The CRM''s id of its company.';
comment on column crm_sync.contact_status.external_deal_id is 'The CRM''s id of its newest deal.';
comment on column crm_sync.contact_status.last_synced_at is 'When the CRM last confirmed the contact.';
comment on column crm_sync.contact_status.last_error is 'Why it failed, is being retried or was skipped.';
comment on column crm_sync.contact_status.next_attempt_at is 'When it is tried next; null when nothing waits.';
