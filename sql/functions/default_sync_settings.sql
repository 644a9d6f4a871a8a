create or replace function crm_sync.default_sync_settings(p_provider_id bigint) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'auto_sync_contacts', true, 'auto_create_deals', true, 'log_activities', true,
    'deal_pipeline', 'default', 'deal_stage', 'appointmentscheduled', 'deal_amount', 1000, 'deal_close_days', 30,
    'lead_source', 'Email Campaign', 'attention_tasks', true, 'task_due_days', 1, 'interested_overtake', false
  ) || coalesce((select p.config -> 'default_settings' from public.integration_providers as p where p.id = p_provider_id), '{}')
$$;
comment on function crm_sync.default_sync_settings(bigint) is 'Trigger: the settings of a new connection to this CRM.';
