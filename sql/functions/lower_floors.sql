create or replace function crm_sync.lower_floors(p_floors bigint[], p_ids bigint[], p_priorities smallint[]) returns bigint[]
language sql immutable
set search_path = pg_catalog, pg_temp
return array(
  select least(f.id, min(r.id) - 1)
  from unnest(p_floors) with ordinality as f (id, priority)
  left join unnest(p_ids, p_priorities) as r (id, priority) on r.priority = f.priority
  group by f.id, f.priority
  order by f.priority
);
comment on function crm_sync.lower_floors(bigint[], bigint[], smallint[]) is 'Worker: floors below rows that were deferred and are not any more.';
