create or replace function crm_sync.connect_integration(p_organization_id uuid, p_provider text, p_name text, p_credentials text, p_account jsonb)
returns table (integration_id bigint, is_new boolean, is_other_account boolean)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_provider_id bigint := (select p.id from public.integration_providers as p where p.name = p_provider and p.is_active);
  v_id bigint;
  v_is_new boolean := true;
  v_is_other boolean := false;
  v_letter text;
begin
  if crm_sync.caller_may_manage(p_organization_id) is not true or not exists (select from public.organizations as o where o.id = p_organization_id) then
    raise exception using errcode = 'CS021', message = 'this organization is not yours to connect',
      hint = 'Ask as a member of the organization, or as an operator (a member of crm_sync_daemon).';
  end if;
  if v_provider_id is null then
    raise exception using errcode = 'CS020', message = 'there is no such CRM, or it is switched off', hint = 'Nothing was connected.';
  end if;
  if p_credentials is null or p_credentials like 'sealed:%' then
    raise exception using errcode = 'CS003', message = 'credentials must be a JSON object with an access_token', hint = 'The value is not shown here on purpose.';
  end if;

  v_letter := set_config('crm_sync.letter', p_credentials, true); -- a variable's value would be in the statements' plans
  insert into public.user_integrations as i (organization_id, provider_id, name, credentials, status)
  values (p_organization_id, v_provider_id, p_name, current_setting('crm_sync.letter'), 'connected')
  on conflict (organization_id, provider_id, name) do nothing
  returning i.id into v_id;
  if v_id is null then
    v_is_new := false;
    select i.id into v_id
    from public.user_integrations as i
    where i.organization_id = p_organization_id and i.provider_id = v_provider_id and i.name = p_name
    for no key update;
    -- status too: a trigger takes that of an error or a disconnection back by itself, and wipes what is disconnected
    update public.user_integrations as i
    set credentials = current_setting('crm_sync.letter'), status = 'connected'
    where i.organization_id = p_organization_id and i.id = v_id;
  end if;
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  values (p_organization_id, v_id, 'connection', 'success', case when v_is_new then 'Connected' else 'Connected again' end,
    case when v_is_new then 'Connected' else 'Connected again' end || ' by ' || crm_sync.caller_name()
      || case when p_account ->> 'id' is null then '' else ', to ' || crm_sync.account_words(left(p_account ->> 'name', 200), left(p_account ->> 'id', 100)) end);
  if p_account ->> 'id' is not null then
    v_is_other := not crm_sync.note_account(v_id, p_account);
  end if;
  perform crm_sync.ring();
  return query select v_id, v_is_new, v_is_other;
end;
$$;
comment on function crm_sync.connect_integration(uuid, text, text, text, jsonb) is
  'Console: makes a connection, or renews the one of that name, which keeps its settings and mappings; credentials as JSON, account {"id", "name", "url"} or null, which leaves the question to the daemon.';
