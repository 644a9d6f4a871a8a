-- Whoever presents a state uses it up, also with the wrong browser or for the wrong CRM: it has been seen by somebody who should
-- not have it. The row's lock makes those who present it at the same time follow each other. The user has to be the one who left:
-- a session that somebody planted in another user's browser connects nothing.
create or replace function crm_sync.take_authorization(p_state_hash bytea, p_session_hash bytea, p_provider text)
returns table (outcome text, organization_id uuid, user_id text, name text, verifier text, redirect_uri text, login_url text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v crm_sync.authorizations;
  v_key text;
begin
  select a.* into v from crm_sync.authorizations as a where a.state_hash = p_state_hash order by a.created_at limit 1 for update;
  if v.state_hash is null then
    outcome := 'unknown';
  elsif v.used_at is not null then
    outcome := 'used';
  else
    update crm_sync.authorizations as a set used_at = clock_timestamp(), sealed_verifier = ''
    where a.organization_id = v.organization_id and a.state_hash = v.state_hash;
    outcome := case
      when v.expires_at <= clock_timestamp() then 'expired'
      when p_provider is distinct from (select p.name from public.integration_providers as p where p.id = v.provider_id) then 'other_provider'
      when v.session_hash is distinct from p_session_hash then 'other_session'
      when v.user_id is distinct from crm_sync.caller_name() or crm_sync.caller_may_manage(v.organization_id) is not true then 'other_session'
      else 'ok'
    end;
  end if;
  if outcome = 'ok' then
    -- the encryption key may have been changed meanwhile
    for v_key in select k.key from crm_sync.session_keys() as k loop
      begin
        verifier := coalesce(verifier, crm_sync.decrypt_text(v.sealed_verifier, v_key));
      exception when external_routine_invocation_exception then
        null;
      end;
    end loop;
    if verifier is null then
      outcome := 'expired';
    else
      organization_id := v.organization_id;
      user_id := v.user_id;
      name := v.name;
      redirect_uri := v.redirect_uri;
      login_url := v.login_url;
    end if;
  end if;
  return next;
end;
$$;
comment on function crm_sync.take_authorization(bytea, bytea, text) is
  'Console: what somebody who comes back from a CRM had asked for; serves once. outcome: ok, unknown, used, expired, other_session or other_provider, and no more than that unless ok.';
