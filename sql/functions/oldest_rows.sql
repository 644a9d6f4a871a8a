create or replace function crm_sync.oldest_rows(p_integration_id bigint default null)
returns table (organization_id uuid, integration_id bigint, queue_id bigint, created_at timestamptz, status text, next_attempt_at timestamptz, last_error text)
language plpgsql stable rows 100
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  select l.organization_id, l.integration_id, o.id, o.created_at, o.status, o.next_attempt_at, o.last_error
  from (
    select l.organization_id, l.integration_id, crm_sync.floors_of(l) as floors from crm_sync.lanes as l
    where p_integration_id is null or l.integration_id = p_integration_id
    offset 0
  ) as l
  cross join lateral (
    select f.* from crm_sync.first_open(l.integration_id, l.floors) as f
    order by f.created_at, f.id
    limit 1
  ) as o;
end;
$$;
comment on function crm_sync.oldest_rows(bigint) is
  'Reader: the oldest unsent row of each connection that has one, found at the heads of indexes; of rows that wait for a time, the first hundred are looked at.';
