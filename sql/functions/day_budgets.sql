-- The same sums as those by which spend_budget refuses: at 1 nothing more is sent.
create or replace function crm_sync.day_budgets(p_most integer default 200)
returns table (integration_id bigint, provider text, limit_name text, used double precision)
language sql stable
security definer
set search_path = ''
as $$
  select b.integration_id, p.name, b.name, u.used
  from crm_sync.budgets as b
  join public.user_integrations as i on i.organization_id = b.organization_id and i.id = b.integration_id
  join public.integration_providers as p on p.id = i.provider_id
  cross join lateral (
    select (d.limit_ ->> 'calls')::double precision as calls, (d.limit_ ->> 'seconds')::double precision as seconds,
      coalesce((d.limit_ ->> 'share')::double precision, 0.8) as share
    from (select p.config -> 'limits' -> b.name as limit_) as d
  ) as l
  cross join lateral (
    select greatest(
      case when b.today = (now() at time zone 'UTC')::date then b.spent_today else 0 end / (l.share * l.calls),
      case when b.observed_at > now() - interval '1 hour' then (b.observed_used + b.spent_since) / nullif(l.share * b.observed_maximum, 0) end
    ) as used
  ) as u
  where l.seconds >= 86400 and l.share * l.calls > 0 and u.used > 0
  order by u.used desc, b.integration_id, b.name
  limit p_most
$$;
comment on function crm_sync.day_budgets(integer) is
  'Worker: for the metrics: how much of our share of each limit of a day is used, 1 being all of it; the connections that have used most.';
