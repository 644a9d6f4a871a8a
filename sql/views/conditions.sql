create or replace view crm_sync.conditions with (security_invoker = true) as
select
  c.organization_id,
  c.integration_id,
  c.provider,
  c.rule,
  c.condition,
  c.subject,
  c.severity,
  c.value,
  c.threshold,
  c.unit,
  c.is_raised,
  c.words,
  c.remedy,
  a.id as alert_id,
  a.raised_at,
  case when a.id is null then c.inhibited_by end as inhibited_by
from crm_sync.current_conditions() as c
left join crm_sync.alerts as a on a.rule = c.rule and a.subject = c.subject and a.cleared_at is null;
comment on view crm_sync.conditions is 'Reader: each rule of alert_rules with each thing that it is about, measured now: how far from its threshold, and whether it is past it.';
comment on column crm_sync.conditions.organization_id is 'Whose connection it is; null for what concerns everybody.';
comment on column crm_sync.conditions.integration_id is 'The connection; null for what concerns everybody.';
comment on column crm_sync.conditions.provider is 'Which CRM.';
comment on column crm_sync.conditions.rule is 'Name of the rule.';
comment on column crm_sync.conditions.condition is 'What is measured.';
comment on column crm_sync.conditions.subject is 'What it is about, as in crm_sync.alerts.';
comment on column crm_sync.conditions.severity is 'info, warning or critical.';
comment on column crm_sync.conditions.value is 'What was measured.';
comment on column crm_sync.conditions.threshold is 'From where on it alarms; of no_worker_alive below where.';
comment on column crm_sync.conditions.unit is 'Of value and threshold: rows, minutes, percent, connections, attempts or daemons.';
comment on column crm_sync.conditions.is_raised is 'Whether it is past its threshold now; an alert is raised when that has lasted for the rule''s for_at_least.';
comment on column crm_sync.conditions.words is 'What is wrong, in one plain sentence; null where nothing is.';
comment on column crm_sync.conditions.remedy is 'What to do; null where nothing is wrong.';
comment on column crm_sync.conditions.alert_id is 'The alert that is raised for it.';
comment on column crm_sync.conditions.raised_at is 'When that was raised.';
comment on column crm_sync.conditions.inhibited_by is 'Rule of the alert that it follows from: as long as that is raised, this raises none of its own.';
