create or replace function crm_sync.acknowledge(p_alert_id bigint, p_note text default null) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_alert crm_sync.alerts;
begin
  if length(p_note) > 1000 then
    raise exception using errcode = 'CS073', message = format('the note has %s characters, 1000 are the most', length(p_note)), hint = 'Write less, or a link.';
  end if;
  select * into v_alert from crm_sync.alerts as a where a.id = p_alert_id and crm_sync.caller_may_manage(a.organization_id) for no key update;
  -- the same answer for what does not exist and for what is not yours
  if v_alert.id is null then
    raise exception using errcode = 'CS021', message = format('there is no alert %s that you may acknowledge', coalesce(p_alert_id::text, 'null')),
      hint = 'What is raised: select id, severity, words from crm_sync.alerts where cleared_at is null.';
  end if;
  if v_alert.acknowledged_at is not null then
    return false;
  end if;
  update crm_sync.alerts as a
  set acknowledged_at = now(), acknowledged_by = crm_sync.caller_name(), note = nullif(btrim(p_note), ''), changed_at = now()
  where a.id = p_alert_id
  returning * into v_alert;
  perform crm_sync.tell_alert(v_alert, 'acknowledged');
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  select i.organization_id, i.id, 'connection', 'info', 'Alert acknowledged', format('By %s: %s', v_alert.acknowledged_by, v_alert.words)
  from public.user_integrations as i
  where i.organization_id = v_alert.organization_id and i.id = v_alert.integration_id
  for key share; -- its log goes with it
  return true;
end;
$$;
comment on function crm_sync.acknowledge(bigint, text) is 'Operator: says that somebody takes care of an alert, which goes on until it is cleared; false where somebody has said so before.';
