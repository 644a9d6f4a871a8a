create or replace function crm_sync.note_not_refreshable(p_integration_id bigint, p_seen_version bigint) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.user_integrations as i set is_refreshable = false where i.id = p_integration_id and i.credentials_version = p_seen_version
$$;
comment on function crm_sync.note_not_refreshable(bigint, bigint) is 'Worker: these credentials hold no refresh token, so nobody need try again.';
