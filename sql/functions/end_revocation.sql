create or replace function crm_sync.end_revocation(p_revocation crm_sync.revocations, p_status text, p_title text, p_description text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  delete from crm_sync.revocations as r where r.organization_id = p_revocation.organization_id and r.id = p_revocation.id;
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  select i.organization_id, i.id, 'connection', p_status, p_title, p_description
  from public.user_integrations as i
  where i.organization_id = p_revocation.organization_id and i.id = p_revocation.integration_id
  for key share -- its log goes with it
$$;
comment on function crm_sync.end_revocation(crm_sync.revocations, text, text, text) is 'Worker: a revocation is over, one way or the other; the log of its connection says so, where there still is one.';
