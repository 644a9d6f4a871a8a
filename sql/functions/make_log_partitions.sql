create or replace function crm_sync.make_log_partitions(p_months_ahead integer default 2) returns integer
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_from timestamptz;
  v_name text;
  v_made integer := 0;
begin
  for v_from in
    select g.month from generate_series(
      date_trunc('month', now(), 'UTC'), date_trunc('month', now(), 'UTC') + make_interval(months => p_months_ahead), interval '1 month') as g (month)
  loop
    v_name := 'sync_activity_logs_' || to_char(v_from at time zone 'UTC', 'YYYY_MM');
    continue when to_regclass('public.' || v_name) is not null;
    -- a row of that month in the default partition would refuse the new one: then that month stays where it is
    continue when exists (
      select from public.sync_activity_logs_default as d where d.created_at >= v_from and d.created_at < v_from + interval '1 month'
    );
    execute format('create table public.%I (like public.sync_activity_logs including defaults including constraints including comments)', v_name);
    execute format('comment on table public.%I is %L', v_name, 'The activity log of one month (UTC).');
    execute format('alter table public.%I enable row level security, force row level security', v_name);
    execute format('create policy owner_all on public.%I for all to crm_sync_owner using (true) with check (true)', v_name);
    execute format('comment on policy owner_all on public.%I is %L', v_name, 'The functions of crm_sync, which run as the owner, see and write everything.');
    execute format('alter table public.sync_activity_logs attach partition public.%I for values from (%L) to (%L)', v_name, v_from, v_from + interval '1 month');
    v_made := v_made + 1;
  end loop;
  return v_made;
end;
$$;
comment on function crm_sync.make_log_partitions(integer) is 'Worker: makes the activity log''s partitions for this month and the next ones; returns how many were missing.';
