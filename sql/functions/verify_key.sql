create or replace function crm_sync.verify_key() returns text
language plpgsql stable
security definer
set search_path = ''
as $$
declare
  v_id text := crm_sync.key_id(crm_sync.session_key());
  v_foreign bigint;
begin
  select count(*) into v_foreign
  from public.user_integrations as i
  where i.credentials is not null and split_part(i.credentials, ':', 3) <> v_id;
  if v_foreign > 0 then
    raise exception using errcode = 'CS004', message = format('the encryption key is not the one that %s connection(s) were sealed with', v_foreign),
      detail = format('This session has key %s.', v_id),
      hint = 'Start with the key the credentials were sealed with. Nothing was sent and nothing was changed.';
  end if;
  return v_id;
end;
$$;
comment on function crm_sync.verify_key() is 'Worker: the id of the session''s key, or CS004 when stored credentials were sealed with another one.';
