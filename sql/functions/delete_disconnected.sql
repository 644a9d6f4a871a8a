-- Piece by piece: a connection with a million mappings is not deleted within one statement's time.
create or replace function crm_sync.delete_disconnected(p_limit integer default 5000) returns table (integration_id bigint, provider text, is_gone boolean)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_doomed public.user_integrations;
  v_count integer;
begin
  select i.* into v_doomed
  from public.user_integrations as i
  where i.status = 'disconnected' and i.disconnected_at < now() - (select c.delete_disconnected_after from crm_sync.config as c)
  order by i.disconnected_at
  limit 1
  for update skip locked;
  if not found then
    return;
  end if;
  perform from crm_sync.lanes as l where l.organization_id = v_doomed.organization_id and l.integration_id = v_doomed.id for update;

  delete from public.sync_activity_logs as l
  where (l.organization_id, l.id, l.created_at) in (
    select x.organization_id, x.id, x.created_at from public.sync_activity_logs as x
    where x.organization_id = v_doomed.organization_id and x.integration_id = v_doomed.id
    limit p_limit
  );
  get diagnostics v_count = row_count;
  if v_count < p_limit then
    delete from crm_sync.effects as e
    where (e.organization_id, e.integration_id, e.object_type, e.key) in (
      select x.organization_id, x.integration_id, x.object_type, x.key from crm_sync.effects as x
      where x.organization_id = v_doomed.organization_id and x.integration_id = v_doomed.id
      limit p_limit
    );
    get diagnostics v_count = row_count;
  end if;
  if v_count < p_limit then
    delete from public.contact_sync_mappings as m
    where (m.organization_id, m.id) in (
      select x.organization_id, x.id from public.contact_sync_mappings as x
      where x.organization_id = v_doomed.organization_id and x.integration_id = v_doomed.id
      limit p_limit
    );
    get diagnostics v_count = row_count;
  end if;
  if v_count < p_limit then
    delete from public.user_integrations as i where i.organization_id = v_doomed.organization_id and i.id = v_doomed.id;
  end if;
  return query
  select v_doomed.id, p.name, v_count < p_limit from public.integration_providers as p where p.id = v_doomed.provider_id;
end;
$$;
comment on function crm_sync.delete_disconnected(integer) is
  'Worker: deletes a piece of the connection that has been disconnected for longest, past delete_disconnected_after of crm_sync.config; no row: there is none. Call it again until then.';
