create or replace view crm_sync.counters with (security_invoker = true) as
select
  l.organization_id,
  l.integration_id,
  p.name as provider,
  l.synced - coalesce(z.synced, 0) as synced,
  l.superseded - coalesce(z.superseded, 0) as superseded,
  l.synced_contacts - coalesce(z.contacts, 0) as contacts,
  l.synced_deals - coalesce(z.deals, 0) as deals,
  l.synced_activities - coalesce(z.activities, 0) as activities,
  l.batches - coalesce(z.batches, 0) as batches,
  l.retried + l.given_up - coalesce(z.retries + z.given_up, 0) as failed_attempts,
  l.retried - coalesce(z.retries, 0) as retries,
  l.given_up - coalesce(z.given_up, 0) as given_up,
  s.calls - coalesce(z.calls, 0) as calls,
  (
    select coalesce(jsonb_object_agg(b.name, b.spent - coalesce((z.calls_by_limit ->> b.name)::bigint, 0)), '{}')
    from crm_sync.budgets as b
    where b.organization_id = l.organization_id and b.integration_id = l.integration_id
  ) as calls_by_limit,
  s.waits - coalesce(z.rate_limit_waits, 0) as rate_limit_waits,
  date_trunc('milliseconds', s.waited - coalesce(z.rate_limit_waited, '0')) as rate_limit_waited,
  coalesce(r.counted_since, i.created_at) as counted_since
from crm_sync.lanes as l
join public.user_integrations as i on i.organization_id = l.organization_id and i.id = l.integration_id
join public.integration_providers as p on p.id = i.provider_id
cross join lateral (
  select coalesce(sum(b.spent), 0)::bigint as calls, coalesce(sum(b.waits), 0)::bigint as waits, coalesce(sum(b.waited), '0') as waited
  from crm_sync.budgets as b
  where b.organization_id = l.organization_id and b.integration_id = l.integration_id
) as s
left join crm_sync.counter_baselines as r on r.organization_id = l.organization_id and r.integration_id = l.integration_id
left join lateral jsonb_to_record(r.counters) as z (
  synced bigint, superseded bigint, contacts bigint, deals bigint, activities bigint, batches bigint, retries bigint, given_up bigint,
  calls bigint, calls_by_limit jsonb, rate_limit_waits bigint, rate_limit_waited interval
) on true;
comment on view crm_sync.counters is 'Reader: what each connection has done since counted_since, as numbers that only grow until somebody calls crm_sync.reset_counters().';
comment on column crm_sync.counters.organization_id is 'Whose connection it is.';
comment on column crm_sync.counters.integration_id is 'The connection.';
comment on column crm_sync.counters.provider is 'Which CRM.';
comment on column crm_sync.counters.synced is 'Rows that the CRM confirmed.';
comment on column crm_sync.counters.superseded is 'Rows whose state a newer row of the same contact carried.';
comment on column crm_sync.counters.contacts is 'Contacts that reached the CRM for the first time.';
comment on column crm_sync.counters.deals is 'Deals that reached the CRM.';
comment on column crm_sync.counters.activities is 'Messages and tasks that reached the CRM.';
comment on column crm_sync.counters.batches is 'Batches that were settled.';
comment on column crm_sync.counters.failed_attempts is 'How often a row did not arrive: retries and given_up together.';
comment on column crm_sync.counters.retries is 'How often a row was put back to be tried again.';
comment on column crm_sync.counters.given_up is 'How often a row ended as failed.';
comment on column crm_sync.counters.calls is 'What calls cost of the CRM''s rate limits, all limits together.';
comment on column crm_sync.counters.calls_by_limit is 'The same by limit: {"name": calls}.';
comment on column crm_sync.counters.rate_limit_waits is 'How often a call had to wait for a rate limit.';
comment on column crm_sync.counters.rate_limit_waited is 'How long calls waited for rate limits, all together.';
comment on column crm_sync.counters.counted_since is 'Since when these are counted: the last reset, else since the connection exists.';
