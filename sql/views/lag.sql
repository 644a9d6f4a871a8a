create or replace view crm_sync.lag with (security_invoker = true) as
select
  i.organization_id,
  i.id as integration_id,
  p.name as provider,
  s.span,
  coalesce(v.rows, 0)::bigint as rows,
  date_trunc('milliseconds', v.p50) as p50,
  date_trunc('milliseconds', v.p90) as p90,
  date_trunc('milliseconds', v.p99) as p99
from public.user_integrations as i
join public.integration_providers as p on p.id = i.provider_id
join (
  -- most steps have never had a row: only the others are looked at, for each span
  select l.organization_id, l.integration_id, l.lags, array(select u.step from unnest(l.lags) with ordinality as u (rows, step) where u.rows > 0) as steps
  from crm_sync.lanes as l
  offset 0
) as l on l.organization_id = i.organization_id and l.integration_id = i.id
cross join (values ('5 minutes', interval '5 minutes'), ('1 hour', interval '1 hour'), ('1 day', interval '1 day')) as s (span, length)
left join lateral (
  select b.lags from crm_sync.lag_samples as b
  where b.organization_id = l.organization_id and b.integration_id = l.integration_id and b.sampled_at <= now() - s.length
  order by b.sampled_at desc
  limit 1
) as b on true
cross join lateral (
  select max(c.total) as rows,
    -- as if those of one step were spread evenly over it; found among whole numbers, reckoned for one step alone
    max(c.low + (c.high - c.low) * ((0.50 * c.total - c.upto + c.rows) / c.rows)::float8) filter (where 100 * (c.upto - c.rows) < 50 * c.total and 50 * c.total <= 100 * c.upto) as p50,
    max(c.low + (c.high - c.low) * ((0.90 * c.total - c.upto + c.rows) / c.rows)::float8) filter (where 100 * (c.upto - c.rows) < 90 * c.total and 90 * c.total <= 100 * c.upto) as p90,
    max(c.low + (c.high - c.low) * ((0.99 * c.total - c.upto + c.rows) / c.rows)::float8) filter (where 100 * (c.upto - c.rows) < 99 * c.total and 99 * c.total <= 100 * c.upto) as p99
  from (
    select d.rows, (sum(d.rows) over (order by d.step))::bigint as upto, (sum(d.rows) over ())::bigint as total,
      -- the step before its first bound begins with nothing, the one behind its last ends somewhere
      coalesce(w.bounds[d.step - 1], interval '0') as low, coalesce(w.bounds[d.step], 2 * w.bounds[d.step - 1]) as high
    from (
      select u.step, l.lags[u.step] - coalesce(b.lags[u.step], 0) as rows
      from (select unnest(l.steps) as step) as u -- as a target it comes one by one; as a table it would be written down before
    ) as d
    cross join (select crm_sync.lag_bounds() as bounds) as w
    where d.rows > 0
  ) as c
) as v;
comment on view crm_sync.lag is 'Reader: how late rows arrive: from when a row was due until the CRM confirmed it, for each connection and the last while; to within a factor of 1.4.';
comment on column crm_sync.lag.organization_id is 'Whose connection it is.';
comment on column crm_sync.lag.integration_id is 'The connection.';
comment on column crm_sync.lag.provider is 'Which CRM.';
comment on column crm_sync.lag.span is 'Of which time: 5 minutes, 1 hour or 1 day, until now.';
comment on column crm_sync.lag.rows is 'Rows that arrived in it.';
comment on column crm_sync.lag.p50 is 'Half of them took so long at most.';
comment on column crm_sync.lag.p90 is 'Nine of ten took so long at most.';
comment on column crm_sync.lag.p99 is 'Ninety-nine of a hundred took so long at most.';
