-- The same sums as those by which spend_budget grants and refuses.
create or replace view crm_sync.budget_use with (security_invoker = true) as
select
  i.organization_id,
  i.id as integration_id,
  p.name as provider,
  l.name as limit_name,
  u.used,
  u.allowed,
  greatest(u.allowed - u.used, 0) as left_over,
  case when l.is_daily then 'calls a day' else 'calls in ' || l.seconds || ' s' end as unit,
  case
    when not l.is_daily then case when b.theoretical_at > statement_timestamp() then b.theoretical_at end
    when l.is_observed then now() + interval '15 minutes' -- a window that rolls
    else (l.today + 1)::timestamp at time zone 'UTC'
  end as resets_at,
  coalesce(b.waits, 0) as waits,
  date_trunc('milliseconds', coalesce(b.waited, '0')) as waited
from public.user_integrations as i
join public.integration_providers as p on p.id = i.provider_id
cross join lateral jsonb_to_recordset(
  (select jsonb_agg(k.value || jsonb_build_object('name', k.key)) from jsonb_each(coalesce(p.config -> 'limits', '{}')) as k)
) as c (name text, calls double precision, seconds double precision, share double precision)
left join crm_sync.budgets as b on b.organization_id = i.organization_id and b.integration_id = i.id and b.name = c.name
cross join lateral (
  select c.name, c.calls, c.seconds, coalesce(c.share, 0.8) as share, c.seconds >= 86400 as is_daily, (now() at time zone 'UTC')::date as today,
    greatest(c.seconds / 0.92, c.seconds + 0.17) / c.calls as step,
    c.seconds >= 86400 and coalesce(b.observed_at > now() - interval '1 hour'
      and (b.observed_used + b.spent_since) / nullif(b.observed_maximum, 0)::double precision
        > case when b.today = (now() at time zone 'UTC')::date then b.spent_today else 0 end / c.calls, false) as is_observed
) as l
cross join lateral (
  select
    case
      when not l.is_daily then least(ceil(greatest(extract(epoch from b.theoretical_at - statement_timestamp()), 0) / l.step), floor(l.seconds / l.step))
      when l.is_observed then b.observed_used + b.spent_since
      when b.today = l.today then b.spent_today
      else 0
    end::bigint as used,
    floor(case when not l.is_daily then l.seconds / l.step when l.is_observed then l.share * b.observed_maximum else l.share * l.calls end)::bigint as allowed
) as u
where c.calls > 0 and c.seconds > 0 and i.status <> 'disconnected';
comment on view crm_sync.budget_use is 'Reader: how much of each rate limit of each connection is used and left: of a day''s limit since midnight (UTC) or as the CRM tells it, of a short one at this moment.';
comment on column crm_sync.budget_use.organization_id is 'Whose connection it is.';
comment on column crm_sync.budget_use.integration_id is 'The connection.';
comment on column crm_sync.budget_use.provider is 'Which CRM.';
comment on column crm_sync.budget_use.limit_name is 'The limit''s name in the provider''s config.';
comment on column crm_sync.budget_use.used is 'What is used of it: by us, or, where the CRM has told within the hour and it is more, by all apps together; of a short one, what is booked ahead of now.';
comment on column crm_sync.budget_use.allowed is 'How much of it is ours to use.';
comment on column crm_sync.budget_use.left_over is 'What may still be called.';
comment on column crm_sync.budget_use.unit is 'What is counted, in which time.';
comment on column crm_sync.budget_use.resets_at is 'When there is room again; null where a short limit is free.';
comment on column crm_sync.budget_use.waits is 'How often a call had to wait for it, ever.';
comment on column crm_sync.budget_use.waited is 'How long calls waited for it, all together.';
