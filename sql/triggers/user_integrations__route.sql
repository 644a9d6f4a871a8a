create or replace function crm_sync.user_integrations__route() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and (new.status = 'disconnected') = (old.status = 'disconnected')
    and (new.sync_frequency, new.sync_filters, new.sync_settings -> 'auto_sync_contacts') is not distinct from
      (old.sync_frequency, old.sync_filters, old.sync_settings -> 'auto_sync_contacts')
  then
    return null;
  end if;
  perform crm_sync.find_route(case when tg_op = 'DELETE' then old.organization_id else new.organization_id end);
  return null;
end;
$$;
comment on function crm_sync.user_integrations__route() is 'Trigger: keeps the route of an organization in step with its connections.';

create or replace trigger crm_sync_route
after insert or update of status, credentials, sync_settings, sync_filters, sync_frequency or delete on public.user_integrations
for each row execute function crm_sync.user_integrations__route();
comment on trigger crm_sync_route on public.user_integrations is 'Keeps the route of an organization in step with its connections.';
