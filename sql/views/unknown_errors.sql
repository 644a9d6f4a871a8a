create or replace view crm_sync.unknown_errors with (security_invoker = true) as
select f.provider, f.code, sum(f.count)::bigint as count, min(f.first_at) as first_at, max(f.last_at) as last_at,
  (array_agg(f.message order by f.last_at desc nulls last, f.example_queue_id desc))[1] as example,
  (array_agg(f.example_queue_id order by f.last_at desc nulls last, f.example_queue_id desc))[1] as example_queue_id,
  f.kind
from crm_sync.failures as f
where not f.is_known
group by f.provider, f.code, f.kind;
comment on view crm_sync.unknown_errors is 'Reader: codes that CRMs gave for what does not arrive and that crm_sync.errors does not know: add a row there, or update.';
comment on column crm_sync.unknown_errors.provider is 'Which CRM.';
comment on column crm_sync.unknown_errors.code is 'The CRM''s own code.';
comment on column crm_sync.unknown_errors.kind is 'What it is treated as.';
comment on column crm_sync.unknown_errors.count is 'How many rows it stops.';
comment on column crm_sync.unknown_errors.first_at is 'When the oldest of these rows was tried last.';
comment on column crm_sync.unknown_errors.last_at is 'When it happened last.';
comment on column crm_sync.unknown_errors.example is 'The CRM''s words the last time.';
comment on column crm_sync.unknown_errors.example_queue_id is 'The row that met it last.';
