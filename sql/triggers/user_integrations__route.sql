-- Settings of one of several connections change no route: whoever changes them shares the route's row with others who do, or two that
-- change two connections of an organization would wait for each other for nothing, and be shot as a deadlock.
create or replace function crm_sync.user_integrations__route() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' and (new.status = 'disconnected') = (old.status = 'disconnected')
    and (new.sync_frequency, new.sync_filters, new.sync_settings -> 'auto_sync_contacts') is not distinct from
      (old.sync_frequency, old.sync_filters, old.sync_settings -> 'auto_sync_contacts')
  then
    return null;
  end if;
  if tg_op = 'UPDATE' and (new.status = 'disconnected') = (old.status = 'disconnected') and current_setting('transaction_isolation') = 'read committed'
    and crm_sync.are_several(new.organization_id)
  then
    perform from crm_sync.routes as r where r.organization_id = new.organization_id and r.integration_id is null for share;
    if found and crm_sync.are_several(new.organization_id) then -- looked at again: newer than the wait
      return null;
    end if;
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
