-- What has become ready may be below the lane's floors and behind its cursors: claims find it at once all the same.
create or replace function crm_sync.end_action(
  p_integration public.user_integrations, p_title text, p_description text, p_ids bigint[] default null, p_priorities smallint[] default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if cardinality(p_ids) > 0 then
    update crm_sync.lanes as l
    set floors = crm_sync.lower_floors(l.floors, p_ids, p_priorities), look_behind_at = '-infinity'
    where l.organization_id = (p_integration).organization_id and l.integration_id = (p_integration).id;
    perform crm_sync.ring();
  end if;
  perform crm_sync.recount((p_integration).id);
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  values ((p_integration).organization_id, (p_integration).id, 'connection', 'info', p_title, p_description);
end;
$$;
comment on function crm_sync.end_action(public.user_integrations, text, text, bigint[], smallint[]) is
  'Operator: says in the log of a connection what was done, and has the daemons take up the rows that this made ready.';
