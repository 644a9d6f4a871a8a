create or replace function crm_sync.pause_key(p_scope text, p_key text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text := btrim(coalesce(p_key, ''));
begin
  if p_scope is null or p_scope <> all ('{integration,organization,provider,everything}') then
    raise exception using errcode = 'CS055', message = format('%s is no scope of a pause', coalesce(to_jsonb(p_scope)::text, 'null')),
      hint = 'Use integration (its id), organization (its id), provider (its name) or everything (no key).';
  elsif p_scope = 'everything' and v_key <> '' then
    raise exception using errcode = 'CS055', message = format('everything has no key, and %s was given', to_jsonb(p_key)), hint = 'Leave the key away, or choose another scope.';
  elsif p_scope <> 'everything' and v_key = '' then
    raise exception using errcode = 'CS055', message = format('it does not say which %s', p_scope),
      hint = 'The key is the connection''s id, the organization''s id, or the provider''s name.';
  elsif p_scope = 'integration' and v_key !~ '^\d{1,18}$' or p_scope = 'organization' and v_key !~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then
    raise exception using errcode = 'CS055', message = format('%s is not the id of an %s', to_jsonb(p_key), p_scope),
      hint = 'The connections and their organizations: select integration_id, organization_id, provider, name from crm_sync.status.';
  end if;

  if p_scope = 'integration' then
    return (crm_sync.require_integration(v_key::bigint)).id::text;
  elsif p_scope = 'organization' then
    if not crm_sync.caller_may_manage(v_key::uuid) or not exists (select from public.organizations as o where o.id = v_key::uuid) then
      raise exception using errcode = 'CS021', message = format('there is no organization %s that you may manage', v_key),
        hint = 'Ask as a member of the organization, or as an operator (a member of crm_sync_daemon).';
    end if;
    return v_key::uuid::text;
  elsif not crm_sync.caller_is_operator() then
    raise exception using errcode = 'CS021', message = 'this is for operators: it concerns other organizations as well',
      hint = 'Pause your organization or one of its connections.';
  elsif p_scope = 'provider' and not exists (select from public.integration_providers as p where p.name = v_key) then
    raise exception using errcode = 'CS055', message = format('there is no provider %s', to_jsonb(v_key)),
      hint = 'There are ' || (select string_agg(p.name, ', ' order by p.name) from public.integration_providers as p) || '.';
  end if;
  return v_key;
end;
$$;
comment on function crm_sync.pause_key(text, text) is
  'Operator: the key of a scope as crm_sync.pauses has it; raises CS055 where it makes no sense and CS021 where it is not the caller''s.';
