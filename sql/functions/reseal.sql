create or replace function crm_sync.reseal(p_after bigint default 0, p_limit integer default 100)
returns table (reached bigint, resealed integer)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key_id text := crm_sync.key_id(crm_sync.session_key());
  v_integration record;
  v_revocation record;
  v_looked integer := 0;
begin
  resealed := 0;
  for v_integration in
    select i.organization_id, i.id, i.credentials
    from public.user_integrations as i
    where i.id > p_after and i.credentials is not null and split_part(i.credentials, ':', 3) <> v_key_id
    order by i.id
    limit p_limit
    for no key update
  loop
    v_looked := v_looked + 1;
    reached := v_integration.id;
    begin
      update public.user_integrations as i
      set credentials = crm_sync.seal_credentials(i.organization_id, i.id, crm_sync.open_sealed(i.organization_id, i.id, i.credentials)::text)
      where i.organization_id = v_integration.organization_id and i.id = v_integration.id;
      resealed := resealed + 1;
    exception when sqlstate 'CS004' or sqlstate 'CS005' then
      null; -- count_seals() tells of it
    end;
  end loop;
  if v_looked < p_limit then
    reached := null;
    for v_revocation in
      select r.organization_id, r.id from crm_sync.revocations as r where split_part(r.sealed_credentials, ':', 3) <> v_key_id order by r.id for update
    loop
      begin
        update crm_sync.revocations as r
        set sealed_credentials = crm_sync.seal_credentials(r.organization_id, r.integration_id,
          crm_sync.open_sealed(r.organization_id, r.integration_id, r.sealed_credentials)::text)
        where r.organization_id = v_revocation.organization_id and r.id = v_revocation.id;
        resealed := resealed + 1;
      exception when sqlstate 'CS004' or sqlstate 'CS005' then
        null;
      end;
    end loop;
  end if;
  return next;
end;
$$;
comment on function crm_sync.reseal(bigint, integer) is
  'Operator: seals a batch of credentials anew with this session''s key, and returns where to go on (null: that was all) and how many; nothing else of a connection changes.';
