create or replace function crm_sync.resume(p_integration_id bigint) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_pause crm_sync.pauses;
begin
  perform crm_sync.require_integration(p_integration_id);
  if crm_sync.resume_all('integration', p_integration_id::text) > 0 then
    return true;
  end if;
  select p.* into v_pause
  from public.user_integrations as i
  cross join lateral crm_sync.find_pause(i.organization_id, i.id, i.provider_id) as p
  where i.id = p_integration_id;
  if found then
    raise exception using errcode = 'CS055',
      message = format('the connection stays paused: %s paused %s%s', crm_sync.who_words(v_pause.paused_by),
        crm_sync.scope_words(v_pause.scope, v_pause.key), coalesce(': ' || v_pause.reason, '')),
      hint = format('Whoever may lift that: select crm_sync.resume_all(%L%s).', v_pause.scope, case when v_pause.key <> '' then format(', %L', v_pause.key) else '' end);
  end if;
  return false;
end;
$$;
comment on function crm_sync.resume(bigint) is 'Operator: goes on with a paused connection at once. False: it was not paused. Raises CS055 where a wider pause holds it.';
