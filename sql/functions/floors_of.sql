create or replace function crm_sync.floors_of(p_lane crm_sync.lanes) returns bigint[]
language sql immutable
return case when p_lane.search_all_at = '-infinity' then array_fill(0::bigint, array[10]) else p_lane.floors end;
comment on function crm_sync.floors_of(crm_sync.lanes) is 'Reader: for each priority an id up to which no ready row of a lane is open; nothing where rows were put back that nobody has looked for yet.';
