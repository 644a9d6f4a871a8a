-- The same sums as those by which spend_budget refuses. Without a SET clause: part of the query that asks.
create or replace function crm_sync.day_use(p_budget crm_sync.budgets, p_limit jsonb) returns double precision
language sql stable
return greatest(
  case when p_budget.today = (now() at time zone 'UTC')::date then p_budget.spent_today else 0 end
    / nullif(coalesce((p_limit ->> 'share')::double precision, 0.8) * (p_limit ->> 'calls')::double precision, 0),
  case when p_budget.observed_at > now() - interval '1 hour' then (p_budget.observed_used + p_budget.spent_since)
    / nullif(coalesce((p_limit ->> 'share')::double precision, 0.8) * p_budget.observed_maximum, 0) end
);
comment on function crm_sync.day_use(crm_sync.budgets, jsonb) is
  'Reader: how much of our share of a limit of a day is used, 1 being all of it: by our count since midnight (UTC), or as the CRM has told within the hour, whichever is more.';
