create or replace trigger crm_sync_record_update
after update on crm_sync.config
for each row when (old is distinct from new)
execute function crm_sync.record_change('config', '-', '-');
comment on trigger crm_sync_record_update on crm_sync.config is 'Writes down who changed the settings of the whole system.';
