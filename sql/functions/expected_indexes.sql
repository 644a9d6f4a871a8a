-- Without a SET clause: part of the query that asks.
create or replace function crm_sync.expected_indexes() returns table (schema_name text, index_name text)
language sql immutable
as $$
  select 'public', n
  from unnest(array[
    'contact_sync_mappings_contact_key', 'contact_sync_mappings_external_contact_key', 'contact_sync_mappings_integration_idx',
    'contact_sync_mappings_message_idx', 'contact_sync_mappings_pkey', 'integration_providers_name_key', 'integration_providers_pkey',
    'sync_activity_logs_contact_idx', 'sync_activity_logs_default_created_at_idx', 'sync_activity_logs_default_organization_id_contact_id_idx',
    'sync_activity_logs_default_organization_id_integration_id_c_idx', 'sync_activity_logs_default_pkey', 'sync_activity_logs_integration_idx',
    'sync_activity_logs_pkey', 'sync_queue_deferred_idx', 'sync_queue_failed_idx', 'sync_queue_finished_idx', 'sync_queue_open_idx',
    'sync_queue_pkey', 'sync_queue_ready_idx', 'sync_queue_retrying_idx', 'sync_queue_skipped_idx', 'sync_queue_stuck_idx',
    'user_integrations_disconnected_idx', 'user_integrations_id_idx', 'user_integrations_idle_idx',
    'user_integrations_organization_provider_name_key', 'user_integrations_pkey', 'user_integrations_provider_id_idx'
  ]) as n
  union all
  select 'crm_sync', n
  from unnest(array[
    'alert_checks_pkey', 'alert_rules_name_key', 'alert_rules_pkey', 'alert_suspects_pkey', 'alerts_changed_at_idx', 'alerts_cleared_at_idx',
    'alerts_open_key', 'alerts_pkey', 'alerts_raised_at_idx', 'applied_files_pkey', 'authorizations_expires_idx', 'authorizations_pkey',
    'authorizations_provider_id_idx', 'authorizations_state_idx', 'batches_integration_idx', 'batches_pkey', 'budgets_pkey',
    'changes_changed_at_idx', 'changes_key_idx', 'changes_organization_idx', 'changes_pkey', 'config_pkey', 'counter_baselines_pkey',
    'crm_fields_pkey', 'daemons_pkey', 'deliveries_alert_id_idx', 'deliveries_next_idx', 'deliveries_pkey', 'effects_one_deal_per_rule',
    'effects_pkey', 'erasures_pkey', 'errors_families_idx', 'errors_pkey', 'fence_pkey', 'intent_rules_intent_key', 'intent_rules_pkey', 'lag_samples_pkey',
    'lag_samples_sampled_at_idx', 'lanes_integration_id_key', 'lanes_pkey', 'orphans_pkey', 'pauses_pkey', 'revocations_next_idx',
    'revocations_pkey', 'revocations_provider_id_idx', 'routes_integration_idx', 'routes_pkey', 'samples_pkey', 'samples_sampled_at_idx',
    'tallies_pkey', 'tally_clock_pkey', 'webhooks_pkey'
  ]) as n
$$;
comment on function crm_sync.expected_indexes() is 'Reader: the indexes that the migrations make, by name; a partition of the activity log has its own.';
