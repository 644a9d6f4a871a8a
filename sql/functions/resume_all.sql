create or replace function crm_sync.resume_all(p_scope text, p_key text default null) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s' -- whose pause somebody else is just making or lifting
as $$
declare
  v_key text := crm_sync.pause_key(p_scope, p_key);
  v_words text := crm_sync.scope_words(p_scope, v_key);
  v_ids bigint[];
  v_was_paused boolean;
  v_resumed bigint[];
begin
  v_words := upper(left(v_words, 1)) || substr(v_words, 2);
  v_ids := array(select crm_sync.paused_integrations(p_scope, v_key));
  delete from crm_sync.pauses as p where p.scope = p_scope and p.key = v_key;
  v_was_paused := found;
  v_resumed := crm_sync.settle_pauses(v_ids); -- also where somebody has paused a lane by hand
  if not v_was_paused and cardinality(v_resumed) = 0 then
    raise notice 'it was not paused as such; the pauses there are: select * from crm_sync.pauses';
    return 0;
  end if;
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  select i.organization_id, i.id, 'connection', 'info', case when i.id = any (v_resumed) then 'Resumed' else 'Still paused' end,
    case when p_scope = 'integration' then 'Resumed by ' else v_words || ': resumed by ' end || crm_sync.who_words(crm_sync.caller_name())
      || case when i.id = any (v_resumed) then '' else '; another pause holds it' end
  from public.user_integrations as i
  where i.id = any (v_ids)
  for key share skip locked; -- see pause_all
  if cardinality(v_resumed) < cardinality(v_ids) then
    raise notice '% connection(s) stay paused by another pause: select * from crm_sync.pauses', cardinality(v_ids) - cardinality(v_resumed);
  end if;
  if cardinality(v_resumed) > 0 then
    perform crm_sync.ring();
  end if;
  return cardinality(v_resumed);
end;
$$;
comment on function crm_sync.resume_all(text, text) is
  'Operator: lifts the pause of an integration, an organization, a provider or everything; what waits is sent at once. Returns how many connections go on: those that another pause holds do not.';
