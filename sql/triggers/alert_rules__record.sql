create or replace trigger crm_sync_record
after insert or delete on crm_sync.alert_rules
for each row execute function crm_sync.record_change('alert_rule', 'name', 'name', 'condition', 'threshold', 'for_at_least', 'clear_after', 'severity', 'is_active', 'remedy');
comment on trigger crm_sync_record on crm_sync.alert_rules is 'Writes down who made or removed a rule of an alert.';

create or replace trigger crm_sync_record_update
after update on crm_sync.alert_rules
for each row when (old is distinct from new)
execute function crm_sync.record_change('alert_rule', 'name', 'name', 'condition', 'threshold', 'for_at_least', 'clear_after', 'severity', 'is_active', 'remedy');
comment on trigger crm_sync_record_update on crm_sync.alert_rules is 'Writes down who changed a rule of an alert, from what to what.';
