-- Nobody is locked out: of one person's open requests the newest twenty stay, whoever asks again makes the oldest void.
create or replace function crm_sync.begin_authorization(
  p_organization_id uuid, p_provider text, p_name text, p_state_hash bytea, p_session_hash bytea, p_verifier text, p_redirect_uri text,
  p_login_url text default null
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_user text := crm_sync.caller_name();
  v_provider_id bigint := (select p.id from public.integration_providers as p where p.name = p_provider and p.is_active);
  v_problem text;
  v_sealed_verifier bytea;
begin
  if crm_sync.caller_may_manage(p_organization_id) is not true or not exists (select from public.organizations as o where o.id = p_organization_id) then
    raise exception using errcode = 'CS021', message = 'this organization is not yours to connect',
      hint = 'Ask as a member of the organization, or as an operator (a member of crm_sync_daemon).';
  end if;
  v_problem := case
    when v_provider_id is null then 'there is no such CRM, or it is switched off'
    when coalesce(btrim(p_name), '') = '' or length(p_name) > 200 then 'the name of a connection has 1 to 200 characters'
    when length(p_state_hash) is distinct from 32 or length(p_session_hash) is distinct from 32 then 'state and session are given as SHA-256'
    when coalesce(crm_sync.is_web_url(p_redirect_uri), false) is not true then 'the redirect URI must be an https address, or http on this machine'
    when crm_sync.is_web_url(p_login_url) is false then 'the login address must be an https address'
  end;
  if v_problem is not null then
    raise exception using errcode = 'CS020', message = v_problem, hint = 'Nothing was begun.';
  end if;

  v_sealed_verifier := crm_sync.encrypt_text(coalesce(p_verifier, ''), crm_sync.session_key()); -- not in the statement, whose plan would tell
  insert into crm_sync.authorizations (organization_id, state_hash, session_hash, provider_id, user_id, name, sealed_verifier, redirect_uri, login_url)
  values (p_organization_id, p_state_hash, p_session_hash, v_provider_id, v_user, p_name,
    v_sealed_verifier, p_redirect_uri, p_login_url);
  delete from crm_sync.authorizations as a
  where a.organization_id = p_organization_id and a.state_hash in (
    select b.state_hash
    from crm_sync.authorizations as b
    where b.organization_id = p_organization_id and b.user_id = v_user and b.used_at is null and b.state_hash <> p_state_hash
    order by b.created_at desc
    offset 19
  );
end;
$$;
comment on function crm_sync.begin_authorization(uuid, text, text, bytea, bytea, text, text, text) is
  'Console: remembers somebody who is sent to a CRM to consent, for ten minutes: hashes of what the browser carries, and the PKCE verifier, sealed.';
