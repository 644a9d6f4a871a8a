-- External ids belong to one account. With credentials for another one they would lead to strangers' records, so nothing is
-- sent until somebody has said what is to become of them. A CRM that does not say which account it is may be any of them.
create or replace function crm_sync.note_account(p_integration_id bigint, p_account jsonb, p_connected_version bigint default null) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_integration public.user_integrations;
  v_lane crm_sync.lanes;
  v_id text := left(nullif(btrim(p_account ->> 'id'), ''), 100);
  v_name text := left(nullif(btrim(p_account ->> 'name'), ''), 200);
  v_url text := case when crm_sync.is_web_url(p_account ->> 'url') then p_account ->> 'url' end;
  v_reason text;
begin
  select i.* into v_integration from public.user_integrations as i where i.id = p_integration_id for no key update; -- connection before lane
  select l.* into v_lane from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  if v_lane.integration_id is null or v_lane.connected_version <> p_connected_version then
    return null; -- connected anew meanwhile: what was found out is of credentials that are gone
  end if;

  if v_id is null then
    return v_integration.account_id is null;
  elsif v_integration.account_id is null or crm_sync.same_account(v_integration.account_id, v_id) then
    update public.user_integrations as i
    set account_id = coalesce(i.account_id, v_id), account_name = coalesce(v_name, i.account_name), account_url = coalesce(v_url, i.account_url)
    where i.id = p_integration_id
      and (i.account_id, i.account_name, i.account_url) is distinct from (coalesce(i.account_id, v_id), coalesce(v_name, i.account_name), coalesce(v_url, i.account_url));
    update crm_sync.lanes as l
    set other_account = null,
      parked_until = case when l.parked_kind = 'other_account' then null else l.parked_until end,
      parked_kind = nullif(l.parked_kind, 'other_account'),
      parked_reason = case when l.parked_kind = 'other_account' then null else l.parked_reason end
    where l.integration_id = p_integration_id and l.other_account is not null;
    return true;
  end if;

  v_reason := format('these credentials are for %s; the ids that we hold are of %s: connect that account again, or say what is to become of the ids (crm_sync.adopt_account)',
    crm_sync.account_words(v_name, v_id), crm_sync.account_words(v_integration.account_name, v_integration.account_id));
  update crm_sync.lanes as l
  set other_account = jsonb_build_object('id', v_id, 'name', v_name, 'url', v_url),
    parked_until = 'infinity', parked_kind = 'other_account', parked_reason = v_reason, schema_ready_at = null
  where l.integration_id = p_integration_id;
  update public.user_integrations as i
  set status = 'error', last_error = v_reason
  where i.id = p_integration_id and i.status in ('connected', 'syncing');
  if found then
    insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
    values (v_integration.organization_id, p_integration_id, 'connection', 'warning', 'Another account', v_reason);
    perform crm_sync.tell_listeners('crm_sync_events', jsonb_build_object('event', 'connection_error', 'integration_id', p_integration_id)::text);
  end if;
  return false;
end;
$$;
comment on function crm_sync.note_account(bigint, jsonb, bigint) is
  'Worker: notes which account ({"id", "name", "url"}) a connection''s credentials lead to. False: another one than before, and nothing is sent until a person has decided (it is noted), or an unnamed one although one is known; null: connected anew meanwhile.';
