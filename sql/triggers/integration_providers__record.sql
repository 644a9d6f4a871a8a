create or replace trigger crm_sync_record
after insert or delete on public.integration_providers
for each row execute function crm_sync.record_change('provider', 'name', 'name', 'is_active', 'config');
comment on trigger crm_sync_record on public.integration_providers is 'Writes down which CRMs became known, and with which URLs and limits.';

create or replace trigger crm_sync_record_update
after update of name, is_active, config on public.integration_providers
for each row when (old.name is distinct from new.name or old.is_active is distinct from new.is_active or old.config is distinct from new.config)
execute function crm_sync.record_change('provider', 'name', 'name', 'is_active', 'config');
comment on trigger crm_sync_record_update on public.integration_providers is 'Writes down who changed a CRM''s URLs, limits or default mappings.';
