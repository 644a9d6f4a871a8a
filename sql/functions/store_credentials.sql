-- A token stands in no statement (see crm_sync.letterbox): not even in the plan of one, where a variable's value would be.
-- Whatever became of the connection meanwhile, what the CRM gave must not get lost: if it was disconnected or deleted while its
-- token was refreshed, the fresh token is the one to be revoked.
create or replace function crm_sync.store_credentials(p_integration_id bigint, p_seen_version bigint, p_credentials text) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set crm_sync.keeps_account = 'on' -- for user_integrations__follow
as $$
declare
  v_new jsonb;
  v_version bigint;
  v_integration public.user_integrations;
  v_refresh_until timestamptz;
  v_letter text;
begin
  begin
    v_new := p_credentials::jsonb;
  exception when others then
    v_new := null; -- the parser's own message would repeat the secret
  end;
  if jsonb_typeof(v_new) is distinct from 'object' then
    raise exception using errcode = 'CS003', message = 'refreshed credentials must be a JSON object',
      hint = 'The value is not shown here on purpose.';
  end if;
  select * into v_integration from public.user_integrations as i where i.id = p_integration_id for no key update; -- connection before lane
  select l.refresh_until into v_refresh_until from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  -- whoever began a refresh may end it, also one who has left the organization in these seconds
  if crm_sync.caller_may_manage(v_integration.organization_id) is not true and (v_refresh_until > clock_timestamp()) is not true then
    return null;
  end if;
  if v_integration.credentials is not null and v_integration.credentials_version = p_seen_version then
    -- the fresh tokens are the document of a daemon that opened the old ones: sealed anew by another key meanwhile, they do without
    v_letter := set_config('crm_sync.letter', (
      case when crm_sync.opens(v_integration.credentials)
        then crm_sync.open_sealed(v_integration.organization_id, p_integration_id, v_integration.credentials) else '{}' end
      || jsonb_strip_nulls(v_new)
    )::text, true);
    update public.user_integrations as i
    set credentials = current_setting('crm_sync.letter')
    where i.organization_id = v_integration.organization_id and i.id = p_integration_id
    returning i.credentials_version into v_version;
  elsif v_integration.credentials is null then
    v_letter := set_config('crm_sync.letter', jsonb_strip_nulls(v_new)::text, true);
    perform crm_sync.revoke_later(v_integration, p_integration_id, p_seen_version);
  end if;
  update crm_sync.lanes as l
  set refresh_until = null,
    refresh_after = case when v_version is null then l.refresh_after end,
    refresh_failures = case when v_version is null then l.refresh_failures else 0 end
  where l.integration_id = p_integration_id;
  return v_version;
end;
$$;
comment on function crm_sync.store_credentials(bigint, bigint, text) is
  'Worker: adds refreshed tokens to a connection''s credentials, sealed, and ends the refresh; returns their version, or null when somebody stored newer ones.';
