create or replace trigger crm_sync_record
after insert or delete on crm_sync.intent_rules
for each row execute function crm_sync.record_change('intent_rule', 'intent', 'intent', 'contact_status', 'create_deal');
comment on trigger crm_sync_record on crm_sync.intent_rules is 'Writes down who made or removed a rule.';

create or replace trigger crm_sync_record_update
after update on crm_sync.intent_rules
for each row when (old is distinct from new)
execute function crm_sync.record_change('intent_rule', 'intent', 'intent', 'contact_status', 'create_deal');
comment on trigger crm_sync_record_update on crm_sync.intent_rules is 'Writes down who changed a rule, from what to what.';
