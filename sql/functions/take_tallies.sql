-- Every few seconds by every daemon: one of them counts, the others find the clock's row taken, or its time not come.
-- A connection that has become large, or small again, or whose tally is void, is counted at once: as long as it has
-- none, whoever asks counts for himself; to renew the others takes a hundredth of the time of one core at most, however many rows there are.
create or replace function crm_sync.take_tallies() returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_clock crm_sync.tally_clock;
  v_begun timestamptz := clock_timestamp();
  v_counting timestamptz;
  v_looked interval;
  v_renewed interval := '0';
  v_few bigint;
  v_new crm_sync.lanes[];
  v_lane crm_sync.lanes;
  v_tallies crm_sync.tallies[] := '{}';
  v_alive bigint[];
  v_free bigint[];
  v_count integer;
begin
  select * into v_clock from crm_sync.tally_clock as c for no key update skip locked;
  if not found or v_clock.look_after > v_begun then
    return 0;
  end if;
  -- so many rows of each connection are counted whenever somebody asks: all together some thousand
  v_few := (select greatest(20, least(1000, 5000 / greatest(count(*), 1))) from crm_sync.lanes as l);

  select array_agg(l order by l.integration_id) into v_new
  from crm_sync.lanes as l
  left join crm_sync.tallies as t
    on t.organization_id = l.organization_id and t.integration_id = l.integration_id and t.counted_at > l.recount_at and t.believed_until > v_begun
  where ((t.waiting is null) = (v_few < (
      select count(*) from (
        select from public.sync_queue as q where q.integration_id = l.integration_id and q.completed_at is null limit v_few + 1
      ) as q
    )))
    or ((t.failed is null) = (v_few < (
      select count(*) from (
        select from public.sync_queue as q where q.integration_id = l.integration_id and q.completed_at is not null and q.failure is not null limit v_few + 1
      ) as q
    )))
    or ((t.skipped is null) = (v_few < (
      select count(*) from (
        select from public.sync_queue as q
        where q.integration_id = l.integration_id and q.completed_at is not null and q.failure is null and q.last_error is not null
        limit v_few + 1
      ) as q
    )));
  v_counting := clock_timestamp();
  v_looked := v_counting - v_begun;

  foreach v_lane in array coalesce(v_new, '{}') loop
    v_tallies := v_tallies || crm_sync.tally_lane(v_lane, v_few);
    exit when clock_timestamp() > v_counting + interval '5 seconds';
  end loop;
  if v_clock.count_after <= v_begun then
    -- the oldest first, and more of them than one if they are short
    v_counting := clock_timestamp();
    for v_lane in
      select l.*
      from crm_sync.tallies as t
      join crm_sync.lanes as l on l.organization_id = t.organization_id and l.integration_id = t.integration_id
      where (l.integration_id = any (array(select n.integration_id from unnest(v_new) as n))) is not true
      order by t.counted_at
    loop
      exit when clock_timestamp() > v_counting + interval '250 milliseconds';
      v_tallies := v_tallies || crm_sync.tally_lane(v_lane, v_few);
      v_renewed := clock_timestamp() - v_counting;
    end loop;
  end if;

  -- a connection that is being deleted at this moment is left alone, and one that somebody has acted on meanwhile is counted anew
  v_alive := array(
    select i.id
    from unnest(v_tallies) as n
    join public.user_integrations as i on i.organization_id = n.organization_id and i.id = n.integration_id
    for key share of i skip locked
  );
  -- nor is one waited for whose tally somebody is just erasing
  v_free := array(select t.integration_id from crm_sync.tallies as t where (t.integration_id = any (v_alive)) is true for no key update skip locked);
  v_alive := array(
    select u.id from unnest(v_alive) as u (id) where u.id = any (v_free) or not exists (select from crm_sync.tallies as t where (t.integration_id = u.id) is true)
  );
  insert into crm_sync.tallies as t
  select n.*
  from unnest(v_tallies) as n
  join crm_sync.lanes as l on l.organization_id = n.organization_id and l.integration_id = n.integration_id and l.recount_at < n.counted_at
  where n.integration_id = any (v_alive) and num_nonnulls(n.waiting, n.failed, n.skipped) > 0
  order by n.integration_id
  on conflict (organization_id, integration_id) do update
  set waiting = excluded.waiting, running = excluded.running, retrying = excluded.retrying, oldest_at = excluded.oldest_at,
    due_at = excluded.due_at, retrying_causes = excluded.retrying_causes, failed = excluded.failed, failed_causes = excluded.failed_causes,
    failed_mark = excluded.failed_mark, skipped = excluded.skipped, counted_at = excluded.counted_at, believed_until = excluded.believed_until, took = excluded.took;
  get diagnostics v_count = row_count;
  delete from crm_sync.tallies as t
  using unnest(v_tallies) as n
  where n.integration_id = any (v_alive) and t.organization_id = n.organization_id and t.integration_id = n.integration_id
    and num_nonnulls(n.waiting, n.failed, n.skipped) = 0;
  -- as long as it takes until all have had their turn, with room for a machine that is busy
  update crm_sync.tallies as t
  set believed_until = t.counted_at + interval '2 minutes' + 300 * (select sum(s.took) from crm_sync.tallies as s)
  where (t.integration_id = any (v_alive)) is true;
  update crm_sync.tally_clock as c
  set look_after = clock_timestamp() + greatest(interval '4 seconds', 100 * v_looked),
    count_after = case when v_renewed > interval '0' then clock_timestamp() + 100 * v_renewed else c.count_after end;
  perform pg_catalog.set_config('synchronous_commit', 'off', true); -- whoever loses a tally counts again
  return v_count;
end;
$$;
comment on function crm_sync.take_tallies() is
  'Worker: counts the rows of connections that have too many to count whenever somebody asks, each in its turn; returns how many connections were counted.';
