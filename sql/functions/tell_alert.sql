-- The payload holds no name that a person has chosen: what is called so may be a person's name or address.
create or replace function crm_sync.tell_alert(p_alert crm_sync.alerts, p_what text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select crm_sync.tell_listeners('crm_sync_events', jsonb_build_object(
    'event', 'alert_' || p_what, 'alert_id', p_alert.id, 'rule', p_alert.rule, 'condition', p_alert.condition, 'severity', p_alert.severity,
    'organization_id', p_alert.organization_id, 'integration_id', p_alert.integration_id
  )::text);
  insert into crm_sync.deliveries (alert_id, type, payload)
  select p_alert.id, 'alert.' || p_what, json_build_object(
    'type', 'alert.' || p_what,
    'timestamp', to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'data', json_build_object(
      'alert_id', p_alert.id, 'rule', p_alert.rule, 'condition', p_alert.condition, 'severity', p_alert.severity,
      'organization_id', p_alert.organization_id, 'integration_id', p_alert.integration_id, 'provider', p_alert.provider, 'subject', p_alert.subject,
      'value', p_alert.value, 'threshold', p_alert.threshold, 'unit', p_alert.unit, 'words', p_alert.words, 'remedy', p_alert.remedy,
      'raised_at', to_char(p_alert.raised_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'acknowledged_at', to_char(p_alert.acknowledged_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'cleared_at', to_char(p_alert.cleared_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    )
  )
  -- a daemon that is away comes back within the days for which a message is kept
  where exists (select from crm_sync.webhooks as w where w.gone_at is null and w.seen_at > now() - interval '3 days')
$$;
comment on function crm_sync.tell_alert(crm_sync.alerts, text) is
  'Worker: tells who listens on crm_sync_events that an alert was raised, acknowledged or cleared, and queues a message where somebody has a webhook.';
