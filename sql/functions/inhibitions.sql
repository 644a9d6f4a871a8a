-- What follows from what: without a daemon all connections are late, and one that is lost is late by itself.
create or replace function crm_sync.inhibitions() returns table (condition text, integration_id bigint, rule text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  select f.condition, a.integration_id, min(a.rule)
  from crm_sync.alerts as a
  join (values
    ('no_worker_alive', 'oldest_wait'), ('no_worker_alive', 'nothing_succeeds'), ('no_worker_alive', 'queue_depth'),
    ('connection_lost', 'oldest_wait'), ('connection_lost', 'nothing_succeeds'), ('connection_lost', 'refresh_failing')
  ) as f (cause, condition) on f.cause = a.condition
  -- fewer daemons than somebody wants is no reason to be late
  where a.cleared_at is null and (a.condition <> 'no_worker_alive' or a.value = 0)
  group by 1, 2;
end;
$$;
comment on function crm_sync.inhibitions() is
  'Worker: which conditions are not worth an alert of their own now, of which connection (null: of all), as they follow from an alert of this rule that is raised.';
