create or replace function crm_sync.pause_all(p_scope text, p_key text default null, p_reason text default null) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s' -- whose pause somebody else is just making or lifting
as $$
declare
  v_key text := crm_sync.pause_key(p_scope, p_key);
  v_reason text := nullif(left(btrim(p_reason), 500), '');
  v_words text := crm_sync.scope_words(p_scope, v_key);
  v_ids bigint[];
  v_was record;
begin
  v_words := upper(left(v_words, 1)) || substr(v_words, 2);
  insert into crm_sync.pauses (scope, key, paused_by, reason) values (p_scope, v_key, crm_sync.caller_name(), v_reason) on conflict do nothing;
  if not found then
    select p.paused_by, p.paused_at, p.reason into v_was from crm_sync.pauses as p where p.scope = p_scope and p.key = v_key;
    raise notice 'it has been paused already, by % since % UTC%', crm_sync.who_words(v_was.paused_by), to_char(v_was.paused_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'), coalesce(': ' || v_was.reason, '');
    return 0;
  end if;
  v_ids := array(select crm_sync.paused_integrations(p_scope, v_key));
  perform crm_sync.settle_pauses(v_ids);
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  select i.organization_id, i.id, 'connection', 'info', 'Paused',
    case when p_scope = 'integration' then 'Paused by ' else v_words || ': paused by ' end || crm_sync.who_words(crm_sync.caller_name()) || coalesce(': ' || v_reason, '')
  from public.user_integrations as i
  where i.id = any (v_ids)
  for key share skip locked; -- of many, one that somebody is just changing has no entry: it is not waited for
  return cardinality(v_ids);
end;
$$;
comment on function crm_sync.pause_all(text, text, text) is
  'Operator: stops work before the next request, also of batches that are under way, on an integration, an organization, a provider or everything; what waits stays, tokens are kept alive. Returns how many connections that concerns, 0 where it was paused already.';
