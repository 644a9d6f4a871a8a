-- A lease instead of an open transaction: no connection and no row lock is held while the CRM is asked for a token.
create or replace function crm_sync.begin_refresh(p_integration_id bigint, p_seen_version bigint, p_lease interval default '30 seconds') returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_until timestamptz;
  v_version bigint;
  v_sealed text;
begin
  select l.refresh_until into v_until from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  select i.credentials_version, i.credentials into v_version, v_sealed from public.user_integrations as i
  where i.id = p_integration_id and crm_sync.caller_may_manage(i.organization_id);
  if v_version is null or v_version is distinct from p_seen_version then
    return 'newer';
  elsif v_until > clock_timestamp() then
    return 'busy';
  elsif v_sealed is not null and not crm_sync.opens(v_sealed) then
    perform crm_sync.open_sealed(null, p_integration_id, v_sealed); -- sealed anew with a key that we do not have: says so
  end if;
  update crm_sync.lanes as l set refresh_until = clock_timestamp() + p_lease where l.integration_id = p_integration_id;
  return 'yours';
end;
$$;
comment on function crm_sync.begin_refresh(bigint, bigint, interval) is 'Worker: the right to refresh a token: yours; busy (another daemon is at it: look again); newer (it is done: open the credentials again); raises CS004 where this session lacks the key.';
