create or replace function crm_sync.verify_key() returns text
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id text := crm_sync.key_id(crm_sync.session_key());
  v_foreign bigint;
begin
  select count(*) into v_foreign
  from public.user_integrations as i
  where i.credentials is not null and split_part(i.credentials, ':', 3) not in (select k.key_id from crm_sync.session_keys() as k);
  if v_foreign > 0 then
    raise exception using errcode = 'CS004', message = format('the encryption key is not the one that %s connection(s) were sealed with', v_foreign),
      detail = format('This session has %s.', (select string_agg(k.key_id, ', ' order by k.key_id) from crm_sync.session_keys() as k)),
      hint = 'Start with the key the credentials were sealed with; while keys are rotated, with the old one in INTEGRATION_ENCRYPTION_KEY_OLD. Nothing was sent and nothing was changed.';
  end if;
  return v_id;
end;
$$;
comment on function crm_sync.verify_key() is 'Worker: the id of the session''s key, or CS004 when stored credentials were sealed with one that it does not have.';
