-- Deferred rows do not count: whoever makes them ready lowers the floors.
create or replace function crm_sync.raise_floors(p_lane crm_sync.lanes) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return array(
    select greatest(f.id, least(p_lane.settled_id, coalesce(r.id - 1, p_lane.settled_id)))
    from unnest(p_lane.floors) with ordinality as f (id, priority)
    left join lateral (
      select q.id from public.sync_queue as q
      where q.integration_id = p_lane.integration_id and q.priority = f.priority and q.id > f.id
        and q.completed_at is null and q.next_attempt_at is null
      order by q.id
      limit 1
    ) as r on true
    order by f.priority
  );
end;
$$;
comment on function crm_sync.raise_floors(crm_sync.lanes) is 'Worker: the floors of a lane, as high as its oldest open rows and what may still be committed allow.';
