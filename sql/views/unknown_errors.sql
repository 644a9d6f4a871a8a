-- Of each code once, whatever many connections met it: what it means is looked up for few then.
create or replace view crm_sync.unknown_errors with (security_invoker = true) as
select g.provider, g.code, g.count, g.first_at, g.last_at, g.example, g.example_queue_id, g.kind
from (
  select p.name as provider, c.code, c.kind, sum(c.count)::bigint as count, min(c.first_at) as first_at, max(c.last_at) as last_at,
    (array_agg(c.message order by c.last_at desc nulls last, c.newest_id desc))[1] as example,
    (array_agg(c.newest_id order by c.last_at desc nulls last, c.newest_id desc))[1] as example_queue_id
  from crm_sync.lane_causes() as c
  join public.user_integrations as i on i.organization_id = c.organization_id and i.id = c.integration_id
  join public.integration_providers as p on p.id = i.provider_id
  where c.code is not null
  group by p.name, c.code, c.kind
) as g
cross join lateral crm_sync.failure_meaning(g.provider, g.kind, g.code) as m
where not m.is_known;
comment on view crm_sync.unknown_errors is 'Reader: codes that CRMs gave for what does not arrive and that crm_sync.errors does not know: add a row there, or update.';
comment on column crm_sync.unknown_errors.provider is 'Which CRM.';
comment on column crm_sync.unknown_errors.code is 'The CRM''s own code.';
comment on column crm_sync.unknown_errors.kind is 'What it is treated as.';
comment on column crm_sync.unknown_errors.count is 'How many rows it stops.';
comment on column crm_sync.unknown_errors.first_at is 'When the oldest of these rows was tried last.';
comment on column crm_sync.unknown_errors.last_at is 'When it happened last.';
comment on column crm_sync.unknown_errors.example is 'The CRM''s words the last time.';
comment on column crm_sync.unknown_errors.example_queue_id is 'The row that met it last.';
