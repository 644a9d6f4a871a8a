-- Once in a while by every daemon and console: one of them looks, the others find the row taken, or the look done.
create or replace function crm_sync.check_alerts(p_unless_within interval default '0 seconds') returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v record;
  v_alert crm_sync.alerts;
  v_since timestamptz;
  v_free bigint[];
  v_is_inhibited boolean;
  v_is_running boolean := crm_sync.is_running();
  v_count integer := 0;
begin
  perform from crm_sync.alert_checks as c where c.checked_at <= now() - p_unless_within for no key update skip locked;
  if not found then
    return 0;
  end if;
  update crm_sync.alert_checks set checked_at = now();
  -- one that somebody is just acknowledging has its turn the next time: nobody's open transaction holds up all alarms
  v_free := array(select a.id from crm_sync.alerts as a where a.cleared_at is null for no key update skip locked);

  for v in
    select m.*, a.id as alert_id, a.value as last_value, a.words as last_words, a.condition as alert_condition, a.false_since, s.since, s.seen_at
    from crm_sync.measure_conditions(null) as m
    full join (select * from crm_sync.alerts as a where a.cleared_at is null) as a on a.rule = m.rule and a.subject = m.subject
    left join crm_sync.alert_suspects as s on s.rule = m.rule and s.subject = m.subject
    where m.is_raised or a.id is not null or s.rule is not null
    order by coalesce(m.condition, a.condition) in ('no_worker_alive', 'connection_lost') desc, m.rule, m.subject -- causes first
  loop
    continue when v.alert_id is not null and v.alert_id <> all (v_free);
    continue when v.alert_id is not null and v.rule is null and v.alert_condition = 'unknown_error' and not v_is_running; -- not looked at
    if v.alert_id is null and v.is_raised then
      v_is_inhibited := exists (
        select from crm_sync.inhibitions() as i where i.condition = v.condition and (i.integration_id is null or i.integration_id = v.integration_id)
      );
      -- where nobody has looked for a while, nobody knows whether it was true all the time; and when its cause has gone, it may go as well
      v_since := case when v.seen_at > now() - interval '5 minutes' and not v_is_inhibited then v.since else now() end;
      if v_is_inhibited or now() - v_since < v.for_at_least then
        insert into crm_sync.alert_suspects as s (rule, subject, since) values (v.rule, v.subject, v_since)
        on conflict (rule, subject) do update set since = excluded.since, seen_at = now();
        continue;
      end if;
      insert into crm_sync.alerts (organization_id, integration_id, rule, condition, subject, provider, severity, value, threshold, unit, words, remedy)
      values (v.organization_id, v.integration_id, v.rule, v.condition, v.subject, v.provider, v.severity, v.value, v.threshold, v.unit, v.words, v.remedy)
      returning * into v_alert;
      perform crm_sync.tell_alert(v_alert, 'raised');
      v_count := v_count + 1;
    elsif v.alert_id is not null and v.is_over and (v.is_raised or v.false_since is not null) then
      -- still, or again; between 90 % and the threshold nothing is decided
      update crm_sync.alerts as a
      set false_since = null,
        condition = v.condition,
        severity = v.severity,
        threshold = v.threshold,
        remedy = v.remedy,
        value = case when v.is_raised then v.value else a.value end,
        words = case when v.is_raised then v.words else a.words end
      where a.id = v.alert_id
        and (a.false_since is not null or (a.condition, a.severity, a.threshold, a.remedy, a.value, a.words)
          is distinct from (v.condition, v.severity, v.threshold, v.remedy, v.value, v.words));
    -- what there is no rule or no subject for any more has ended
    elsif v.alert_id is not null and (v.rule is null or not v.is_over and now() - coalesce(v.false_since, now()) >= v.clear_after) then
      update crm_sync.alerts as a
      set cleared_at = now(), false_since = coalesce(a.false_since, now()), changed_at = now()
      where a.id = v.alert_id
      returning * into v_alert;
      perform crm_sync.tell_alert(v_alert, 'cleared');
      v_count := v_count + 1;
    elsif v.alert_id is not null and not v.is_over and v.false_since is null then
      update crm_sync.alerts as a set false_since = now() where a.id = v.alert_id;
    end if;
    if v.since is not null then
      delete from crm_sync.alert_suspects as s where s.rule = v.rule and s.subject = v.subject;
    end if;
  end loop;

  -- what nobody needs any more, a piece at a time
  delete from crm_sync.alert_suspects as s where s.seen_at < now() - interval '1 hour';
  delete from crm_sync.webhooks as w where w.seen_at < now() - interval '30 days';
  delete from crm_sync.alerts as a
  where a.id in (
    select x.id from crm_sync.alerts as x
    where x.cleared_at < now() - (select c.retain_logs from crm_sync.config as c)
    order by x.cleared_at
    limit 1000
    for update skip locked
  );
  return v_count;
end;
$$;
comment on function crm_sync.check_alerts(interval) is
  'Worker: measures all conditions, raises and clears alerts, and tells who listens; nothing where somebody has just looked within the given time, or is at it. Returns how many alerts were raised or cleared.';
