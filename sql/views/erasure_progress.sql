create or replace view crm_sync.erasure_progress with (security_invoker = true) as
select
  e.organization_id,
  e.contact_id,
  e.erased_at,
  e.erased_by,
  e.reason,
  i.id as integration_id,
  p.display_name as provider,
  case
    when a.id is null then 'erased here; no CRM was asked'
    when a.id = any (e.reached) then 'deleted in the CRM'
    when i.id is null then 'the connection is gone: delete it in the CRM by hand'
    when q.status = 'failed' then 'failed: ' || q.last_error
    when q.status = 'skipped' then q.last_error
    when q.status is null then 'nothing waits any more: ask again'
    when i.status not in ('connected', 'syncing') then 'waits: the connection is ' || i.status
    when q.last_error is not null then 'is tried again: ' || q.last_error
    else 'is on its way'
  end as state,
  q.id as queue_id
from crm_sync.erasures as e
left join lateral unnest(e.asked) as a (id) on true
left join public.user_integrations as i on i.organization_id = e.organization_id and i.id = a.id
left join public.integration_providers as p on p.id = i.provider_id
left join lateral (
  select q.id, q.status, q.last_error from public.sync_queue as q
  where q.organization_id = e.organization_id and q.integration_id = a.id and q.contact_id = e.contact_id and q.queue_type = 'contact_erasure'
    and (a.id = any (e.reached)) is not true
  order by q.id desc
  limit 1
) as q on true
where e.lifted_at is null;
comment on view crm_sync.erasure_progress is 'Reader: who was erased, and for each CRM that was asked to delete them as well, whether it has.';
comment on column crm_sync.erasure_progress.organization_id is 'Whose contact it was.';
comment on column crm_sync.erasure_progress.contact_id is 'The host application''s id of the contact.';
comment on column crm_sync.erasure_progress.erased_at is 'When it was erased here.';
comment on column crm_sync.erasure_progress.erased_by is 'Who erased it.';
comment on column crm_sync.erasure_progress.reason is 'Why.';
comment on column crm_sync.erasure_progress.integration_id is 'The connection whose CRM was asked; null where none was.';
comment on column crm_sync.erasure_progress.provider is 'Which CRM.';
comment on column crm_sync.erasure_progress.state is 'How far it is, in plain words.';
comment on column crm_sync.erasure_progress.queue_id is 'The row that asks the CRM, until it has answered.';
