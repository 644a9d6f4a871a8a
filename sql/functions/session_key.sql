create or replace function crm_sync.session_key() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text := nullif(current_setting('crm_sync.encryption_key', true), '');
begin
  if v_key is null then
    raise exception using errcode = 'CS001', message = 'credentials cannot be sealed or opened: this session has no encryption key',
      hint = 'Open the session with it, where no log tells it: PGOPTIONS="-c crm_sync.encryption_key=…". Or let crm-sync connect do it, which takes it from INTEGRATION_ENCRYPTION_KEY.';
  end if;
  if length(v_key) < 32 then
    raise exception using errcode = 'CS002', message = 'the encryption key is too short',
      detail = format('It has %s characters, 32 are the least.', length(v_key)),
      hint = 'Make one with: openssl rand -base64 48';
  end if;
  return v_key;
end;
$$;
comment on function crm_sync.session_key() is 'Trigger: the session''s encryption key; raises CS001 without one, CS002 for a short one.';
