create or replace trigger crm_sync_update
before update on public.contact_sync_mappings
for each row execute function crm_sync.touch_updated_at();
comment on trigger crm_sync_update on public.contact_sync_mappings is 'Keeps updated_at true.';
