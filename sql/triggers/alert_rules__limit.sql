create or replace trigger crm_sync_limit
after insert or update of organization_id on crm_sync.alert_rules
for each row when (new.organization_id is not null)
execute function crm_sync.alert_rules__limit();
comment on trigger crm_sync_limit on crm_sync.alert_rules is 'Keeps one organization from making rules without end.';
