-- Ids are given out before their rows are committed: an id is settled once all transactions have ended that were running when
-- it was the newest. A snapshot's xmax will not do as the mark, as some of those that are running may be newer.
create or replace function crm_sync.mark_lane(p_lane crm_sync.lanes, p_newest_id bigint) returns crm_sync.lanes
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_snapshot pg_catalog.pg_snapshot := pg_catalog.pg_current_snapshot();
begin
  if pg_catalog.pg_snapshot_xmin(v_snapshot) >= p_lane.marked_xid then
    p_lane.settled_id := p_lane.marked_id;
  elsif pg_catalog.pg_current_xact_id() > p_lane.marked_xid then
    return p_lane; -- one of them is still running
  end if; -- else the mark was set on another server, of which this database is a copy
  if p_newest_id is not null then
    p_lane.marked_id := p_newest_id;
    p_lane.marked_xid := pg_catalog.pg_current_xact_id();
  end if;
  return p_lane;
end;
$$;
comment on function crm_sync.mark_lane(crm_sync.lanes, bigint) is
  'Worker: a lane that knows which ids can no longer appear, as of its last mark; and with a new one, if an id is given that was the newest before this transaction had a number.';
