create or replace view crm_sync.failures with (security_invoker = true) as
with causes as materialized (
  select i.provider_id, c.*
  from crm_sync.lane_causes() as c
  join public.user_integrations as i on i.organization_id = c.organization_id and i.id = c.integration_id
),
providers as materialized (
  -- a document of a provider is opened once, not for each connection
  select p.id, p.name, p.display_name, p.config, p.config -> 'default_settings' -> 'deal_pipeline' as deal_pipeline,
    p.config -> 'default_settings' -> 'deal_stage' as deal_stage
  from public.integration_providers as p
),
meanings as materialized (
  -- many connections fail for the same few reasons: each is looked up once
  select d.provider_id, d.kind, d.code, m.*
  from (select distinct c.provider_id, c.kind, c.code from causes as c) as d
  join public.integration_providers as p on p.id = d.provider_id
  cross join lateral crm_sync.failure_meaning(p.name, d.kind, d.code) as m
)
select
  f.organization_id,
  f.integration_id,
  f.provider,
  f.kind,
  f.queue_type,
  f.code,
  f.field,
  f.message,
  f.meaning,
  replace(f.remedy, 'crm_sync.retry_failed()', 'crm_sync.retry_failed(' || f.integration_id || ')') as remedy, -- of this connection, not of all
  case when coalesce(f.options, c.options) is null then '{}' else
    array(select o.option ->> 'value' from jsonb_array_elements(coalesce(f.options, c.options)) with ordinality as o (option, place) order by o.place) end as allowed_values,
  case when coalesce(f.options, c.options) is null then '{}' else
    array(select o.option ->> 'label' from jsonb_array_elements(coalesce(f.options, c.options)) with ordinality as o (option, place) order by o.place) end as allowed_labels,
  f.count,
  f.retrying,
  f.first_at,
  f.last_at,
  f.example_queue_id,
  f.example_contact_id,
  f.example_message_id,
  f.who_must_act,
  f.is_known,
  f.counted_at,
  f.is_rest
from (
  -- rows that failed or are being tried again, by what stopped them
  select c.organization_id, c.integration_id, p.name as provider, c.kind, c.queue_type, c.code, c.field, c.message, c.count, c.retrying, c.first_at, c.last_at,
    c.newest_id as example_queue_id, c.contact_id as example_contact_id, c.message_id as example_message_id, null::jsonb as options,
    c.counted_at, c.is_rest, m.meaning, m.remedy, m.who_must_act, m.is_known
  from causes as c
  join providers as p on p.id = c.provider_id
  left join meanings as m on m.provider_id = c.provider_id and m.kind = c.kind and coalesce(m.code, '') = coalesce(c.code, '')
  union all
  -- rules and settings that the CRM does not honour any more
  select i.organization_id, i.id, p.name, 'mapping', null, f.setting, f.field, f.problem, 1, 0, l.described_at, l.described_at, null, null, null, f.options, now(), false,
    m.meaning, m.remedy, m.who_must_act, m.is_known
  from public.user_integrations as i
  join providers as p on p.id = i.provider_id
  join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
  cross join lateral crm_sync.mapping_faults(i.organization_id, i.id, p.display_name, p.config, i.sync_settings, i.field_mappings) as f
  cross join lateral crm_sync.failure_meaning(p.name, 'mapping', f.setting) as m
  where i.status <> 'disconnected'
    -- who has chosen nothing has nothing that could be at fault: most connections
    and (
      i.field_mappings <> '{}' or i.sync_settings ? 'status_values'
      or (i.sync_settings -> 'deal_pipeline', i.sync_settings -> 'deal_stage') is distinct from (p.deal_pipeline, p.deal_stage)
    )
    and f.setting is distinct from 'lead_source' -- left out where the CRM does not know it
  union all
  -- connections that wait for a person
  select i.organization_id, i.id, p.name, 'connection', null, l.parked_kind, null, i.last_error, 1, 0, l.last_failure_at, l.last_failure_at, null, null, null, null, now(), false,
    m.meaning, m.remedy, m.who_must_act, m.is_known
  from public.user_integrations as i
  join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
  join public.integration_providers as p on p.id = i.provider_id
  cross join lateral crm_sync.failure_meaning(p.name, 'connection', l.parked_kind) as m
  where i.status = 'error'
) as f
-- one row whatever is there, so that who does not ask for the allowed values has nothing looked up
left join lateral (
  select (array_agg(d.options order by d.object = coalesce(i.sync_settings ->> 'contact_object', 'contact') desc, d.object desc))[1] as options
  from crm_sync.crm_fields as d
  join public.user_integrations as i on i.organization_id = d.organization_id and i.id = d.integration_id
  where d.organization_id = f.organization_id and d.integration_id = f.integration_id and d.name = f.field and d.options <> '[]'
    and d.object = any (case f.queue_type when 'contact_sync' then array['contact', 'lead', 'company'] when 'deal_sync' then array['deal'] end)
) as c on true;
comment on view crm_sync.failures is 'Reader: what does not arrive in a CRM and why: rows by what stopped them, mappings that the CRM does not honour, connections that wait for a person.';
comment on column crm_sync.failures.organization_id is 'Whose connection it is.';
comment on column crm_sync.failures.integration_id is 'The connection.';
comment on column crm_sync.failures.provider is 'Which CRM.';
comment on column crm_sync.failures.kind is 'rejected, contended, bug, unavailable, rate_limited, unauthorized or other for rows; mapping; connection.';
comment on column crm_sync.failures.queue_type is 'contact_sync, deal_sync, activity_sync or contact_erasure; null where it is not about rows.';
comment on column crm_sync.failures.code is 'The CRM''s own code; for a mapping the setting that is at fault, for a connection why it is parked.';
comment on column crm_sync.failures.field is 'The CRM''s name of the field.';
comment on column crm_sync.failures.message is 'What happened, in the CRM''s words or ours; of several rows with one code and field, what happened to the newest.';
comment on column crm_sync.failures.meaning is 'What that means, in plain words.';
comment on column crm_sync.failures.remedy is 'What to do about it.';
comment on column crm_sync.failures.allowed_values is 'The values that the field takes, as the CRM described it last; empty where it takes any.';
comment on column crm_sync.failures.allowed_labels is 'What people see in the CRM for each of the allowed values.';
comment on column crm_sync.failures.count is 'How many rows.';
comment on column crm_sync.failures.retrying is 'How many of them will be tried again.';
comment on column crm_sync.failures.first_at is 'Since when: when the first of these rows failed for this reason first, or when the fields were read.';
comment on column crm_sync.failures.last_at is 'When it happened last.';
comment on column crm_sync.failures.example_queue_id is 'The newest row.';
comment on column crm_sync.failures.example_contact_id is 'Its contact.';
comment on column crm_sync.failures.example_message_id is 'Its message.';
comment on column crm_sync.failures.who_must_act is 'nobody, operator, crm_admin, data_owner, connection_owner, developer or crm_vendor.';
comment on column crm_sync.failures.is_known is 'False where the CRM gave a code that crm_sync.errors does not know.';
comment on column crm_sync.failures.counted_at is 'When the rows were counted: now, or, of a connection with very many rows, a while ago.';
comment on column crm_sync.failures.is_rest is 'True for what many causes that stop few rows each come to together; crm_sync.retry_cause() cannot name them.';
