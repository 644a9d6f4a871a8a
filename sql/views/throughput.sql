create or replace view crm_sync.throughput with (security_invoker = true) as
select
  s.sampled_at as minute,
  s.organization_id,
  s.integration_id,
  p.name as provider,
  coalesce(s.synced_since, greatest(s.synced - coalesce(b.synced, 0), 0)) as synced,
  coalesce(s.given_up_since, greatest(s.given_up - coalesce(b.given_up, 0), 0)) as failed,
  s.waiting
from crm_sync.samples as s
join public.user_integrations as i on i.organization_id = s.organization_id and i.id = s.integration_id
join public.integration_providers as p on p.id = i.provider_id
-- of rows of an earlier version, which do not say it themselves: one by one out of the key, so that who asks for the last
-- minutes reads those and not all
left join lateral (
  select b.synced, b.given_up from crm_sync.samples as b
  where s.synced_since is null and b.organization_id = s.organization_id and b.integration_id = s.integration_id and b.sampled_at < s.sampled_at
  order by b.sampled_at desc
  limit 1
) as b on true;
comment on view crm_sync.throughput is 'Reader: what each connection did minute by minute, as the daemons noted it; a minute in which nothing changed has no row. Ask for the minutes you want.';
comment on column crm_sync.throughput.minute is 'The minute.';
comment on column crm_sync.throughput.organization_id is 'Whose connection it is.';
comment on column crm_sync.throughput.integration_id is 'The connection.';
comment on column crm_sync.throughput.provider is 'Which CRM.';
comment on column crm_sync.throughput.synced is 'Rows that the CRM confirmed since the row before.';
comment on column crm_sync.throughput.failed is 'Rows that ended as failed since the row before.';
comment on column crm_sync.throughput.waiting is 'Rows that waited, ran or were to be tried again at the end of it.';
