-- What each CRM's account looks like (its fields and their options), why rows fail, and room for tasks.

create table crm_sync.crm_fields (
  organization_id uuid not null,
  integration_id bigint not null,
  object text not null
    constraint crm_fields_object_is_known check (object in ('contact', 'lead', 'company', 'deal')),
  name text not null,
  label text not null default '',
  type text not null default 'text'
    constraint crm_fields_type_is_known check (type in ('text', 'number', 'boolean', 'date', 'datetime', 'enum', 'multi_enum', 'other')),
  is_writable boolean not null default true,
  is_required boolean not null default false,
  options jsonb not null default '[]'
    constraint crm_fields_options_is_a_list check (jsonb_typeof(options) = 'array'),
  is_closed boolean not null default false,
  constraint crm_fields_pkey primary key (organization_id, integration_id, object, name),
  constraint crm_fields_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
);
comment on table crm_sync.crm_fields is 'The fields of each connection''s CRM as the CRM described them last: what a mapping may lead to.';
comment on column crm_sync.crm_fields.organization_id is 'Whose connection it is.';
comment on column crm_sync.crm_fields.integration_id is 'The connection.';
comment on column crm_sync.crm_fields.object is 'contact, lead, company or deal.';
comment on column crm_sync.crm_fields.name is 'The CRM''s name of the field, as mappings write it.';
comment on column crm_sync.crm_fields.label is 'What people see in the CRM.';
comment on column crm_sync.crm_fields.type is 'text, number, boolean, date, datetime, enum, multi_enum or other.';
comment on column crm_sync.crm_fields.is_writable is 'Whether the connection may set it.';
comment on column crm_sync.crm_fields.is_required is 'Whether a new record must have it.';
comment on column crm_sync.crm_fields.options is 'The values there are, as [{"value", "label"}].';
comment on column crm_sync.crm_fields.is_closed is 'Whether the CRM takes nothing but the options.';

alter table crm_sync.crm_fields enable row level security;
alter table crm_sync.crm_fields force row level security;
create policy owner_all on crm_sync.crm_fields for all to crm_sync_owner using (true) with check (true);
comment on policy owner_all on crm_sync.crm_fields is 'The functions of crm_sync, which run as the owner, see and write everything.';
create policy reader_select on crm_sync.crm_fields for select to crm_sync_reader using (true);
comment on policy reader_select on crm_sync.crm_fields is 'DBAs and dashboards see every organization.';
create policy members_select on crm_sync.crm_fields for select to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_select on crm_sync.crm_fields is 'Members see the rows of their organization.';

alter table crm_sync.lanes
  add column described_at timestamptz,
  add column account jsonb not null default '{}';
comment on column crm_sync.lanes.described_at is 'When the CRM''s fields were last read; null asks the daemon to read them.';
comment on column crm_sync.lanes.account is 'What the provider''s module has learned of the account: where our keys are kept.';

alter table public.sync_queue add column failure jsonb;
comment on column public.sync_queue.failure is 'The last failure in parts: kind, code, field, status and correlation id of the CRM.';

alter table crm_sync.budgets
  add column observed_used bigint,
  add column observed_maximum bigint,
  add column observed_at timestamptz,
  add column spent_since bigint not null default 0;
comment on column crm_sync.budgets.observed_used is 'What the CRM last said all of its account''s apps have used today.';
comment on column crm_sync.budgets.observed_maximum is 'What the CRM last said the account may use in a day.';
comment on column crm_sync.budgets.observed_at is 'When the CRM last said so.';
comment on column crm_sync.budgets.spent_since is 'Calls made since then.';

-- wider than before, so no row can be against it; in one transaction, under the migrator's lock timeout
alter table crm_sync.effects
  -- squawk-ignore ban-drop-constraint
  drop constraint effects_object_type_is_known,
  -- squawk-ignore constraint-missing-not-valid
  add constraint effects_object_type_is_known check (object_type in ('company', 'deal', 'activity', 'task'));
comment on column crm_sync.effects.object_type is 'company, deal, activity or task.';
comment on table crm_sync.effects is 'Every company, deal, activity and task that we make in a CRM: intended before the call, confirmed after it.';
comment on column crm_sync.effects.contact_id is 'The contact of a deal, activity or task.';
comment on column crm_sync.effects.message_id is 'The message of an activity or task, or the one that asked for a deal.';

-- The small language of filters, as a shape that no path around the triggers can break: a restored dump, a replica's role or
-- an import would otherwise leave behind what fails in the middle of a producer's INSERT. In jsonpath and not by the function
-- that finds the words for it: a CHECK must not change its mind when a function is replaced.
alter table public.user_integrations
  -- squawk-ignore constraint-missing-not-valid
  add constraint user_integrations_sync_filters_are_conditions check (
    jsonb_typeof(sync_filters) = 'object'
    and sync_filters - array['all', 'any'] = '{}'
    and not jsonb_path_exists(sync_filters, 'strict $.* ? (@.type() != "array")')
    and jsonb_array_length(jsonb_path_query_array(sync_filters, 'strict $.*[*]', '{}', true))
      = jsonb_array_length(jsonb_path_query_array(sync_filters, 'strict $.*[*] ? (
          @.type() == "object"
          && @.field like_regex "^(intent|sentiment|priority|confidence|requires_human_attention|next_action|email_domain|contact[.][a-z_][a-z0-9_]*)$"
          && (
            ((@.op == "=" || @.op == "<>") && (@.value.type() == "string" || @.value.type() == "number" || @.value.type() == "boolean"))
            || ((@.op == "in" || @.op == "not in") && @.value.type() == "array")
            || ((@.op == ">=" || @.op == "<=") && @.value.type() == "number")
            || @.op == "is blank" || @.op == "is not blank"
          )
        )', '{}', true))
  );

-- Numbers that everybody's claims and calls go by.
alter table public.integration_providers
  -- squawk-ignore constraint-missing-not-valid
  add constraint integration_providers_config_has_sane_numbers check (
    not jsonb_path_exists(config, 'strict $.batch_rows ? ((@ >= 1 && @ <= 10000) is unknown || !(@ >= 1 && @ <= 10000))', '{}', true)
    and not jsonb_path_exists(config, 'strict $.batches_in_flight ? ((@ >= 1 && @ <= 64) is unknown || !(@ >= 1 && @ <= 64))', '{}', true)
    and not jsonb_path_exists(config, 'strict $.limits ? (@.type() != "object")', '{}', true)
    and not jsonb_path_exists(config, 'strict $.limits.* ? (
      (@.calls > 0 && @.seconds > 0) is unknown || !(@.calls > 0 && @.seconds > 0)
    )', '{}', true)
    and not jsonb_path_exists(config, 'strict $.limits.*.keyvalue() ? (
      @.key == "share" && ((@.value > 0 && @.value <= 1) is unknown || !(@.value > 0 && @.value <= 1))
    )', '{}', true)
  );

-- forms of functions that this version has replaced by others with more parameters
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.mapping_rules(jsonb, jsonb, jsonb, text);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.mark_schema_ready(bigint, boolean);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.spend_budget(bigint, text, integer, interval);
