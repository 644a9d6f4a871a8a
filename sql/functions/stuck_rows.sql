-- Of each connection what a few lookups find, and of many rows that wait for one thing one line with a count that ends at 100.
-- A statement for each thing that is waited for, and of one that nobody waits for not more than what tells so: where all goes well,
-- nothing of the queue is read but what is under way.
create or replace function crm_sync.stuck_rows(p_integration_id bigint default null)
returns table (
  organization_id uuid, integration_id bigint, provider text, contact_id uuid, queue_id bigint, waits_for text, blocking_queue_id bigint,
  blocking_worker uuid, since timestamptz, until timestamptz, reason text, rows_behind bigint
)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_sees_all boolean := crm_sync.caller_may_see(null) is true;
  v_mine bigint[];
  v_standing bigint[];
begin
  select array_agg(i.id), array_agg(i.id) filter (where s.kind is not null) into v_mine, v_standing
  from public.user_integrations as i
  left join lateral crm_sync.standstill(i.organization_id, i.id) as s on true
  where (p_integration_id is null or i.id = p_integration_id)
    and (v_sees_all or i.organization_id in (select crm_sync.member_organizations()));
  if v_mine is null then
    return;
  end if;

  -- everything of a connection
  if v_standing is not null then
    return query
    select i.organization_id, i.id, p.name, coalesce(r.contact_id, d.contact_id), coalesce(r.id, d.id), 'the connection', null::bigint, null::uuid, s.since, s.until, s.reason, (
        select count(*) from (
          select from public.sync_queue as q where q.integration_id = i.id and q.completed_at is null limit 100
        ) as q
      )
    from unnest(v_standing) as v (id)
    join public.user_integrations as i on i.id = v.id
    join public.integration_providers as p on p.id = i.provider_id
    join crm_sync.lanes as n on n.organization_id = i.organization_id and n.integration_id = i.id
    left join lateral (
      -- above the floors: below them an index is full of entries that rows have left
      select f.id, f.contact_id
      from unnest(crm_sync.floors_of(n)) with ordinality as o (floor, priority)
      cross join lateral (
        select q.id, q.contact_id from public.sync_queue as q
        where q.integration_id = i.id and q.priority = o.priority and q.completed_at is null and q.next_attempt_at is null and q.batch_id is null
          and q.id > o.floor
        order by q.id
        limit 1
      ) as f
      order by o.priority
      limit 1
    ) as r on true
    left join lateral (
      select q.id, q.contact_id from public.sync_queue as q
      where q.integration_id = i.id and q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null
      order by q.next_attempt_at
      limit 1
    ) as d on r.id is null
    cross join lateral crm_sync.standstill(i.organization_id, i.id) as s
    where r.id is not null or d.id is not null;
  end if;

  return query
  with under_way as materialized (
    select b.organization_id, b.integration_id, p.name as provider, b.id as batch_id, b.worker_id, b.row_ids, b.contact_ids, b.claimed_at, b.lease_until,
      w.last_seen_at, crm_sync.is_alive(w.last_seen_at) as is_alive
    from crm_sync.batches as b
    join public.user_integrations as i on i.organization_id = b.organization_id and i.id = b.integration_id
    join public.integration_providers as p on p.id = i.provider_id
    left join crm_sync.daemons as w on w.id = b.worker_id
    where b.integration_id = any (v_mine)
  ),
  -- one look at all contacts of a batch; whoever waits behind them is looked for only then
  followed as materialized (
    select u.* from under_way as u
    where exists (
      select from public.sync_queue as q
      where q.integration_id = u.integration_id and q.contact_id = any (u.contact_ids[1:500]) and q.completed_at is null and q.batch_id is null
      offset 0
    )
  )
  -- what a daemon holds that is not seen any more
  select u.organization_id, u.integration_id, u.provider, u.contact_ids[1], u.row_ids[1], 'a lease', null::bigint, u.worker_id, u.claimed_at, u.lease_until,
    case when u.is_alive then 'its lease has ended: the next claim of this connection takes its rows over'
      else coalesce('its daemon has not been seen since ' || to_char(u.last_seen_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), 'its daemon is gone')
        || ': its rows are taken over when its lease ends' end,
    cardinality(u.row_ids)::bigint
  from under_way as u
  where u.is_alive is not true or u.lease_until < clock_timestamp()
  union all
  -- behind a row of the same contact that is being sent
  select u.organization_id, u.integration_id, u.provider, w.contact_id, w.id, 'a row of its contact', w.blocking_id, u.worker_id, u.claimed_at, null,
    'another row of its contact is being sent: one after the other keeps their order', w.behind
  from followed as u
  cross join lateral (
    select k.contact_id, f.id, f.behind, (
        select q.id from public.sync_queue as q
        where q.integration_id = u.integration_id and q.contact_id = k.contact_id and q.completed_at is null and q.batch_id = u.batch_id
        order by q.id
        limit 1
      ) as blocking_id
    from unnest(u.contact_ids[1:500]) as k (contact_id)
    cross join lateral (
      select min(q.id) as id, count(*) as behind
      from (
        select q.id from public.sync_queue as q
        where q.integration_id = u.integration_id and q.contact_id = k.contact_id and q.completed_at is null and q.batch_id is null
        order by q.id
        limit 100
      ) as q
    ) as f
    where f.behind > 0
    limit 20
  ) as w;

  -- what waits for a time of its own
  return query
  select i.organization_id, i.id, p.name, w.contact_id, w.id, case when w.status = 'retry' then 'its next attempt' else 'the next slot' end, null::bigint, null::uuid,
    coalesce(case when w.status = 'retry' then w.started_at end, w.created_at), w.next_attempt_at,
    case when w.status = 'retry' then coalesce(w.last_error, 'it is tried again') else 'this connection works ' || i.sync_frequency end, null::bigint
  from unnest(v_mine) as v (id)
  cross join lateral (
    select q.* from public.sync_queue as q
    where q.integration_id = v.id and q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null and q.next_attempt_at > now()
    order by q.next_attempt_at
    limit 20
  ) as w
  join public.user_integrations as i on i.id = v.id
  join public.integration_providers as p on p.id = i.provider_id
  where v.id <> all (coalesce(v_standing, '{}'));

  -- sessions that hold up others at our tables: only those who look at all of them are told
  if v_sees_all and p_integration_id is null and exists (select from pg_catalog.pg_locks as k where not k.granted) then
    return query
    with locks as materialized (
      select k.*, d.oid as here
      from pg_catalog.pg_locks as k
      join pg_catalog.pg_database as d on d.datname = pg_catalog.current_database()
    )
    select null::uuid, null::bigint, null::text, null::uuid, null::bigint, format('session %s', h.pid), null::bigint, null::uuid, w.waitstart, null::timestamptz,
      format('session %s waits for a lock on %s that session %s holds', w.pid, o.relation::regclass, h.pid), null::bigint
    from locks as w
    cross join lateral (
      select k.relation
      from locks as k
      where k.pid = w.pid and k.database = w.here and k.relation = any (array['public.sync_queue', 'public.user_integrations', 'public.contact_sync_mappings',
        'crm_sync.lanes', 'crm_sync.batches', 'crm_sync.effects', 'crm_sync.budgets']::regclass[])
      order by not k.granted desc, k.locktype = 'tuple' desc, k.mode like 'Row%' desc
      limit 1
    ) as o
    cross join lateral unnest(pg_catalog.pg_blocking_pids(w.pid)) as h (pid)
    where not w.granted;
  end if;
end;
$$;
comment on function crm_sync.stuck_rows(bigint) is
  'Reader: who waits behind whom, of one connection or of all that the caller may see: at most 20 lines for one cause on a connection.';
