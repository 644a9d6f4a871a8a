create or replace view crm_sync.accounting with (security_invoker = true) as
select
  v.*,
  v.committed - (v.synced + v.waiting + v.running + v.retrying + v.failed + v.skipped + v.superseded) as difference
from (
  select
    l.organization_id,
    l.integration_id,
    l.purged + q.total as committed,
    l.synced,
    q.waiting,
    q.running,
    q.retrying,
    l.purged_failed + q.failed as failed,
    l.purged_skipped + q.skipped as skipped,
    l.superseded
  from crm_sync.lanes as l
  left join lateral (
    select
      count(*) as total,
      count(*) filter (where q.status = 'pending') as waiting,
      count(*) filter (where q.status = 'processing') as running,
      count(*) filter (where q.status = 'retry') as retrying,
      count(*) filter (where q.status = 'failed') as failed,
      count(*) filter (where q.status = 'skipped') as skipped
    from public.sync_queue as q
    where q.organization_id = l.organization_id and q.integration_id = l.integration_id
  ) as q on true
) as v;
comment on view crm_sync.accounting is 'Reader: where every committed piece of work of a connection is; rows on one side, what was counted when it was done on the other. An audit that reads every row: for a look at how things stand there is crm_sync.status.';
comment on column crm_sync.accounting.organization_id is 'Whose connection it is.';
comment on column crm_sync.accounting.integration_id is 'The connection.';
comment on column crm_sync.accounting.committed is 'Rows ever enqueued: those in the queue and those purged.';
comment on column crm_sync.accounting.synced is 'Rows that the CRM confirmed, counted when it did.';
comment on column crm_sync.accounting.waiting is 'Rows that have not been tried yet.';
comment on column crm_sync.accounting.running is 'Rows a daemon is working on.';
comment on column crm_sync.accounting.retrying is 'Rows that will be tried again.';
comment on column crm_sync.accounting.failed is 'Rows that failed.';
comment on column crm_sync.accounting.skipped is 'Rows that were not sent, each with its reason.';
comment on column crm_sync.accounting.superseded is 'Rows whose state a newer row of the same contact carried, counted when it did.';
comment on column crm_sync.accounting.difference is 'Always 0; anything else is work that was lost or counted twice.';
