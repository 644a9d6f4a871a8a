-- What the daemon writes all the time (counters, errors, tokens) is not looked at: the columns are named, and what they have to
-- differ in. Of the credentials only that they end or begin a connection.
create or replace trigger crm_sync_record
after insert or delete on public.user_integrations
for each row execute function crm_sync.record_change('connection', 'id', 'name', 'name', 'status', 'sync_frequency', 'sync_settings', 'field_mappings', 'sync_filters');
comment on trigger crm_sync_record on public.user_integrations is 'Writes down who made or deleted a connection, and with which settings.';

create or replace trigger crm_sync_record_update
after update of name, status, credentials, sync_frequency, sync_settings, field_mappings, sync_filters on public.user_integrations
for each row when (
  old.name is distinct from new.name
  or (old.status = 'disconnected') is distinct from (new.status = 'disconnected')
  or old.sync_frequency is distinct from new.sync_frequency
  or old.sync_settings is distinct from new.sync_settings
  or old.field_mappings is distinct from new.field_mappings
  or old.sync_filters is distinct from new.sync_filters
)
execute function crm_sync.record_change('connection', 'id', 'name', 'name', 'status', 'sync_frequency', 'sync_settings', 'field_mappings', 'sync_filters');
comment on trigger crm_sync_record_update on public.user_integrations is 'Writes down who changed a connection''s settings, from what to what.';

-- what was there before the audit, of this table and those whose triggers came before it
select crm_sync.record_found();
