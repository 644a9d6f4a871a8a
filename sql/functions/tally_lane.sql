-- Why rows failed is read again only where others have failed, were put back or purged since the last time: nothing else is
-- read row by row.
create or replace function crm_sync.tally_lane(p_lane crm_sync.lanes, p_few bigint) returns crm_sync.tallies
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v crm_sync.tallies;
  v_last crm_sync.tallies;
begin
  v.organization_id := p_lane.organization_id;
  v.integration_id := p_lane.integration_id;
  v.counted_at := clock_timestamp();
  v.believed_until := v.counted_at;
  v.failed_mark := concat_ws(' ', p_lane.given_up, p_lane.purged_failed, p_lane.recount_at);
  select * into v_last from crm_sync.tallies as t where t.organization_id = p_lane.organization_id and t.integration_id = p_lane.integration_id;

  select o.waiting, o.running, o.retrying, o.oldest_at, o.due_at into v.waiting, v.running, v.retrying, v.oldest_at, v.due_at
  from crm_sync.count_open(p_lane.organization_id, p_lane.integration_id, crm_sync.floors_of(p_lane)) as o;
  if v.waiting + v.running + v.retrying <= p_few then
    v.waiting := null;
    v.running := null;
    v.retrying := null;
    v.oldest_at := null;
    v.due_at := null;
  else
    v.retrying_causes := case when v.retrying = 0 then '{}' else (
      select crm_sync.main_causes(array_agg(row(c.*)::crm_sync.cause)) from crm_sync.retrying_causes(p_lane.organization_id, p_lane.integration_id) as c
    ) end;
  end if;

  select count(*) into v.failed from public.sync_queue as q
  where q.integration_id = p_lane.integration_id and q.completed_at is not null and q.failure is not null;
  if v.failed <= p_few then
    v.failed := null;
  elsif v_last.failed = v.failed and v_last.failed_mark = v.failed_mark then
    v.failed_causes := v_last.failed_causes;
  else
    v.failed_causes := (
      select crm_sync.main_causes(array_agg(row(c.*)::crm_sync.cause)) from crm_sync.failed_causes(p_lane.organization_id, p_lane.integration_id) as c
    );
  end if;

  select count(*) into v.skipped from public.sync_queue as q
  where q.integration_id = p_lane.integration_id and q.completed_at is not null and q.failure is null and q.last_error is not null;
  if v.skipped <= p_few then
    v.skipped := null;
  end if;
  v.took := clock_timestamp() - v.counted_at;
  return v;
end;
$$;
comment on function crm_sync.tally_lane(crm_sync.lanes, bigint) is 'Worker: counts all rows of a connection and groups what fails by its causes; null where there are so few that they can be counted whenever somebody asks.';
