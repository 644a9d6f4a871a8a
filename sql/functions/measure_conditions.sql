-- Probes of indexes and single rows only: nothing here is counted that grows. Whoever calls this says whose conditions; null is all.
create or replace function crm_sync.measure_conditions(p_organization_ids uuid[])
returns table (
  organization_id uuid, integration_id bigint, provider text, rule text, condition text, subject text, severity text,
  value numeric, threshold numeric, unit text, is_raised boolean, is_over boolean, words text, remedy text, for_at_least interval, clear_after interval
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  with rules as materialized (
    -- of an organization no more than it may have, should several transactions have made some at once
    select r.*
    from (select a.*, row_number() over (partition by a.organization_id order by a.id) as place from crm_sync.alert_rules as a) as r
    where r.organization_id is null or r.place <= crm_sync.rules_at_most()
  ),
  own_rules as materialized (select r.organization_id, r.name from rules as r where r.organization_id is not null),
  day_limits as materialized (
    select p.name as provider, l.key as name, l.value as terms
    from public.integration_providers as p
    cross join lateral jsonb_each(p.config -> 'limits') as l
    where p.is_active and (l.value ->> 'seconds')::numeric >= 86400
  ),
  connections as materialized (
    select i.organization_id, i.id, i.status, p.name as provider, p.display_name, format('%s (connection %s)', p.display_name, i.id) as label,
      format('connection:%s', i.id) as subject,
      crm_sync.floors_of(l) as floors, l.last_success_at, l.refresh_failures, l.parked_kind, l.parked_until > now() as is_parked,
      -- what waits for a person's word is not late
      i.status in ('connected', 'syncing') and l.paused_at is null as is_to_move
    from public.user_integrations as i
    join public.integration_providers as p on p.id = i.provider_id and p.is_active
    join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
    where i.status <> 'disconnected' and (p_organization_ids is null or i.organization_id = any (p_organization_ids))
  ),
  unknown as (
    select u.provider, left(u.code, 200) as code, sum(u.count)::bigint as count
    from (
      -- as unknown_errors, of all: the console looks too, which sees nobody's by itself
      select p.name as provider, c.code, c.kind, sum(c.count) as count
      from crm_sync.causes_of(null, null) as c
      join public.user_integrations as i on i.organization_id = c.organization_id and i.id = c.integration_id
      join public.integration_providers as p on p.id = i.provider_id
      -- an operator's affair, whosever rows they are; without a daemon there are no tallies, and all rows would be counted just
      -- when somebody has to be told quickly that there is none
      where c.code is not null and p_organization_ids is null and (select crm_sync.is_running())
      group by p.name, c.code, c.kind
    ) as u
    cross join lateral crm_sync.failure_meaning(u.provider, u.kind, u.code) as m
    where not m.is_known
    group by 1, 2
  ),
  measured as materialized (
    select c.*, coalesce(f.failed, 0) as failed, coalesce(s.waiting, 0) as waiting,
      coalesce(greatest(extract(epoch from now() - w.oldest), 0) / 60, 0) as waited,
      coalesce(greatest(extract(epoch from now() - greatest(w.oldest, c.last_success_at)), 0) / 60, 0) as stalled
    from connections as c
    left join lateral (
      select count(*) as failed
      from (
        select from public.sync_queue as q
        where q.integration_id = c.id and q.completed_at > now() - interval '1 hour' and q.completed_at is not null and q.failure is not null
        limit 1000
      ) as q
    ) as f on true
    left join lateral (
      select x.waiting from crm_sync.samples as x
      where x.organization_id = c.organization_id and x.integration_id = c.id
      order by x.sampled_at desc
      limit 1
    ) as s on true
    -- a row of an hourly or daily connection waits from its slot on
    left join lateral (select min(o.scheduled_at) as oldest from crm_sync.first_open(c.id, c.floors) as o) as w on c.is_to_move
  ),
  facts as (
    select m.organization_id, m.id as integration_id, m.provider, v.condition, m.subject, v.value, m.label, case when m.is_parked or m.status = 'error' then m.parked_kind end as detail
    from measured as m
    cross join lateral (values
      ('failures_per_hour', m.failed::numeric),
      ('oldest_wait', m.waited),
      ('queue_depth', m.waiting::numeric),
      ('nothing_succeeds', m.stalled),
      ('connection_lost', case when m.status = 'error' then 1 else 0 end::numeric),
      ('refresh_failing', case when m.status = 'error' then 0 else m.refresh_failures end::numeric)
    ) as v (condition, value)
    union all
    select m.organization_id, m.id, m.provider, 'budget_nearly_spent', m.subject || '/' || b.name, u.used, m.label, b.name
    from measured as m
    join crm_sync.budgets as b on b.organization_id = m.organization_id and b.integration_id = m.id
    join day_limits as l on l.provider = m.provider and l.name = b.name
    cross join lateral (select coalesce(100 * crm_sync.day_use(b, l.terms), 0)::numeric as used) as u
    union all
    select null, null, null, 'no_worker_alive', 'workers', d.alive, null, null
    from (select count(*)::numeric as alive from crm_sync.daemons as d where crm_sync.is_alive(d.last_seen_at)) as d
    where p_organization_ids is null and exists (select from connections)
    union all
    select null, null, null, 'worker_cannot_listen', format('worker:%s:%s', d.host, d.pid), case when d.listening then 0 else 1 end, d.host, d.pid::text
    from (
      -- in a container every daemon is process 1, also the one that ended a minute ago
      select distinct on (d.host, d.pid) d.* from crm_sync.daemons as d
      where p_organization_ids is null and crm_sync.is_alive(d.last_seen_at)
      order by d.host, d.pid, d.last_seen_at desc
    ) as d
    union all
    select null, null, e.provider, 'unknown_error', format('error:%s/%s', e.provider, e.code), e.count, coalesce((select p.display_name from public.integration_providers as p where p.name = e.provider), e.provider), e.code
    from unknown as e
    where p_organization_ids is null
  )
  select f.organization_id, f.integration_id, f.provider, r.name, r.condition, f.subject, r.severity, trim_scale(round(f.value, 1)), r.threshold,
    case f.condition
      when 'oldest_wait' then 'minutes' when 'nothing_succeeds' then 'minutes' when 'budget_nearly_spent' then 'percent'
      when 'connection_lost' then 'connections' when 'refresh_failing' then 'attempts'
      when 'no_worker_alive' then 'daemons' when 'worker_cannot_listen' then 'daemons' else 'rows'
    end,
    s.is_raised, o.is_over,
    case when not s.is_raised then null
      else case f.condition
        when 'failures_per_hour' then format('%s%s of %s failed within an hour', case when f.value >= 1000 then 'At least ' end,
          case when f.value = 1 then '1 row' else f.value || ' rows' end, f.label)
        when 'oldest_wait' then format('The oldest unsent row of %s has waited for %s%s', f.label, crm_sync.minute_words(f.value), ' (' || f.detail || ')')
        when 'queue_depth' then format('%s rows of %s wait', f.value, f.label)
        when 'nothing_succeeds' then format('%s has confirmed nothing for %s, although rows wait%s', f.label, crm_sync.minute_words(f.value), ' (' || f.detail || ')')
        when 'connection_lost' then case
          when f.detail = 'other_account' then format('%s leads to another account than before; its rows wait for a person', f.label)
          else format('%s is not accepted any more by the CRM; its rows wait for a person', f.label)
        end
        when 'refresh_failing' then format('The idle token of %s could not be refreshed, %s times in a row', f.label, f.value)
        when 'budget_nearly_spent' then format('%s %% of our share of a day''s calls to %s are used (limit %s)', floor(f.value), f.label, f.detail)
        when 'no_worker_alive' then case
          when f.value = 0 then 'No daemon is alive: nothing is sent'
          when f.value = 1 then 'Only 1 daemon is alive'
          else format('Only %s daemons are alive', f.value)
        end
        when 'worker_cannot_listen' then format('The daemon on %s (process %s) cannot LISTEN: it polls, and is slower', f.label, f.detail)
        when 'unknown_error' then format('%s gave an error that this version does not know: %s (%s)', f.label, f.detail, case when f.value = 1 then '1 row' else f.value || ' rows' end)
      end
    end,
    -- advice for what is near; whoever reads it, perhaps an operator at night, is told whose it is
    case when o.is_over then case when r.organization_id is null or exists (select from rules as o where o.organization_id is null and o.remedy = r.remedy) then ''
      else 'By a rule of the organization''s own: ' end || r.remedy end, r.for_at_least, r.clear_after
  from facts as f
  join rules as r on r.condition = f.condition and r.is_active and (
    r.organization_id = f.organization_id
    or r.organization_id is null and not exists (select from own_rules as o where o.organization_id = f.organization_id and o.name = r.name)
  )
  cross join lateral (select case f.condition when 'no_worker_alive' then f.value < r.threshold else f.value >= r.threshold end as is_raised) as s
  cross join lateral (select case f.condition when 'no_worker_alive' then s.is_raised else f.value >= 0.9 * r.threshold end as is_over) as o;
end;
$$;
comment on function crm_sync.measure_conditions(uuid[]) is
  'Worker: every rule of alert_rules with everything that it is about, measured now; of these organizations, or of all with what concerns everybody.';
