-- Whoever calls this holds the locks of connection and lane.
create or replace function crm_sync.lose_connection(p_organization_id uuid, p_integration_id bigint, p_reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update crm_sync.lanes as l
  set parked_until = 'infinity',
    parked_kind = case when l.parked_kind = 'other_account' and l.parked_until = 'infinity' then l.parked_kind else 'unauthorized' end,
    parked_reason = p_reason
  where l.organization_id = p_organization_id and l.integration_id = p_integration_id;
  update public.user_integrations as i
  set status = 'error', last_error = p_reason, error_count = i.error_count + 1
  where i.organization_id = p_organization_id and i.id = p_integration_id and i.status in ('connected', 'syncing');
  if found then
    insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
    values (p_organization_id, p_integration_id, 'connection', 'error', 'Connection needs a person', p_reason);
    perform crm_sync.tell_listeners('crm_sync_events', jsonb_build_object('event', 'connection_error', 'integration_id', p_integration_id)::text);
  end if;
end;
$$;
comment on function crm_sync.lose_connection(uuid, bigint, text) is 'Worker: a CRM does not accept a connection any more: its rows wait, losing nothing, until a person has connected it again.';
