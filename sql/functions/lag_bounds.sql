create or replace function crm_sync.lag_bounds() returns interval[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select array_agg(make_interval(secs => 0.005 * power(2, s.step / 2.0)) order by s.step) from generate_series(0, 58) as s (step)
$$;
comment on function crm_sync.lag_bounds() is 'Reader: between which times lags are told apart: two steps for each doubling, from 5 milliseconds to 31 days.';
