create or replace view crm_sync.contact_status with (security_invoker = true) as
select
  m.organization_id,
  m.integration_id,
  m.contact_id,
  case
    when o.open > 0 and o.has_running then 'running'
    when o.open > 0 and o.has_retry then 'retrying'
    when o.open > 0 then 'waiting'
    when n.status = 'failed' then 'failed'
    when n.status = 'skipped' and coalesce(m.sync_status, 'pending') <> 'synced' then 'skipped'
    else coalesce(m.sync_status, 'pending')
  end as state,
  m.external_contact_id,
  m.external_company_id,
  m.external_deal_id,
  m.last_synced_at,
  coalesce(o.error, case when n.status in ('failed', 'skipped') then n.last_error end) as last_error,
  case when o.open > 0 then coalesce(o.next_attempt_at, now()) end as next_attempt_at
from (
  select coalesce(m.organization_id, q.organization_id) as organization_id, coalesce(m.integration_id, q.integration_id) as integration_id,
    coalesce(m.contact_id, q.contact_id) as contact_id,
    m.sync_status, m.external_contact_id, m.external_company_id, m.external_deal_id, m.last_synced_at
  from public.contact_sync_mappings as m
  full join (
    select distinct q.organization_id, q.integration_id, q.contact_id
    from public.sync_queue as q
    where q.integration_id is not null and q.contact_id is not null
  ) as q on q.organization_id = m.organization_id and q.integration_id = m.integration_id and q.contact_id = m.contact_id
) as m
cross join lateral (
  select count(*) as open, bool_or(q.status = 'processing') as has_running, bool_or(q.status = 'retry') as has_retry,
    min(q.next_attempt_at) as next_attempt_at, max(q.last_error) as error
  from public.sync_queue as q
  where q.integration_id = m.integration_id and q.contact_id = m.contact_id and q.status in ('pending', 'retry', 'processing')
) as o
left join lateral (
  select q.status, q.last_error
  from public.sync_queue as q
  where q.organization_id = m.organization_id and q.integration_id = m.integration_id and q.contact_id = m.contact_id
  order by (q.status = 'failed') desc, q.id desc
  limit 1
) as n on true;
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
