-- Days, weeks or months, so that about fifteen partitions hold what is retained: few enough to look through for a contact's
-- history, short enough that the oldest is not kept much longer than it has to be.
-- What time a partition covers already stays with it. What the default partition holds stays there until it is purged; the
-- rest of that time is covered from the next day on.
create or replace function crm_sync.make_log_partitions(p_ahead interval default '7 days') returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set lock_timeout = '100ms'
as $$
declare
  v_grain text := (
    select case when c.retain_logs <= interval '14 days' then 'day' when c.retain_logs <= interval '120 days' then 'week' else 'month' end
    from crm_sync.config as c
  );
  v_from timestamptz := date_trunc('day', now());
  v_to timestamptz;
  v_last timestamptz;
  v_name text;
  v_is_locked boolean := false;
  v_made integer := 0;
begin
  while v_from <= now() + p_ahead loop
    select p.ends_at into v_to from crm_sync.log_partitions() as p where p.begins_at <= v_from and p.ends_at > v_from;
    if not found then
      if not v_is_locked then
        -- keeps two daemons apart, and stops nobody who writes; then look again
        lock table public.sync_activity_logs in share update exclusive mode;
        v_is_locked := true;
        continue;
      end if;
      select least(date_trunc(v_grain, v_from) + ('1 ' || v_grain)::interval, min(p.begins_at)) into v_to
      from crm_sync.log_partitions() as p where p.begins_at > v_from;
      select max(d.created_at) into v_last from public.sync_activity_logs_default as d where d.created_at >= v_from and d.created_at < v_to;
      v_name := 'sync_activity_logs_' || to_char(v_from, 'YYYY_MM_DD');
      if v_last is not null or to_regclass('public.' || v_name) is not null then
        v_to := least(v_to, date_trunc('day', v_last) + interval '1 day');
      else
        -- made by itself and attached then: that locks neither those who write to the log nor those who read it for long.
        -- Rows are written once, so the first vacuum may freeze them for good
        execute format('create table public.%I (like public.sync_activity_logs including defaults including constraints including comments)
          with (autovacuum_freeze_min_age = 0)', v_name);
        execute format('comment on table public.%I is %L', v_name, format('The activity log from %s up to %s (UTC).', v_from::date, v_to::date));
        execute format('alter table public.%I enable row level security, force row level security', v_name);
        execute format('create policy owner_all on public.%I for all to crm_sync_owner using (true) with check (true)', v_name);
        execute format('comment on policy owner_all on public.%I is %L', v_name, 'The functions of crm_sync, which run as the owner, see and write everything.');
        execute format('alter table public.sync_activity_logs attach partition public.%I for values from (%L) to (%L)', v_name, v_from, v_to);
        v_made := v_made + 1;
      end if;
    end if;
    v_from := v_to;
  end loop;
  return v_made;
exception when lock_not_available or check_violation then
  return 0; -- somebody reads the log, or has just written to the default partition: whoever waits for us, it is not for long
end;
$$;
comment on function crm_sync.make_log_partitions(interval) is
  'Worker: makes the activity log''s partitions for today and the days ahead, or leaves that to the next time if somebody is in the way; returns how many were missing.';
