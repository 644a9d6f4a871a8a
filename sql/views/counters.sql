create or replace view crm_sync.counters with (security_invoker = true) as
select
  l.organization_id,
  l.integration_id,
  p.name as provider,
  r.synced - coalesce(z.synced, 0) as synced,
  r.superseded - coalesce(z.superseded, 0) as superseded,
  r.contacts - coalesce(z.contacts, 0) as contacts,
  r.deals - coalesce(z.deals, 0) as deals,
  r.activities - coalesce(z.activities, 0) as activities,
  r.batches - coalesce(z.batches, 0) as batches,
  r.failed_attempts - coalesce(z.failed_attempts, 0) as failed_attempts,
  r.retries - coalesce(z.retries, 0) as retries,
  r.given_up - coalesce(z.given_up, 0) as given_up,
  r.calls - coalesce(z.calls, 0) as calls,
  (
    select coalesce(jsonb_object_agg(c.key, c.value::bigint - coalesce((z.calls_by_limit ->> c.key)::bigint, 0)), '{}')
    from jsonb_each_text(r.calls_by_limit) as c
  ) as calls_by_limit,
  r.rate_limit_waits - coalesce(z.rate_limit_waits, 0) as rate_limit_waits,
  make_interval(secs => r.rate_limit_seconds - coalesce(z.rate_limit_seconds, 0)) as rate_limit_waited,
  coalesce(b.counted_since, i.created_at) as counted_since
from crm_sync.lanes as l
join public.user_integrations as i on i.organization_id = l.organization_id and i.id = l.integration_id
join public.integration_providers as p on p.id = i.provider_id
left join crm_sync.counter_baselines as b on b.organization_id = l.organization_id and b.integration_id = l.integration_id
cross join lateral jsonb_to_record(crm_sync.raw_counters(l)) as r (
  synced bigint, superseded bigint, contacts bigint, deals bigint, activities bigint, batches bigint, failed_attempts bigint, retries bigint, given_up bigint,
  calls bigint, calls_by_limit jsonb, rate_limit_waits bigint, rate_limit_seconds double precision
)
cross join lateral jsonb_to_record(coalesce(b.counters, '{}')) as z (
  synced bigint, superseded bigint, contacts bigint, deals bigint, activities bigint, batches bigint, failed_attempts bigint, retries bigint, given_up bigint,
  calls bigint, calls_by_limit jsonb, rate_limit_waits bigint, rate_limit_seconds double precision
);
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
