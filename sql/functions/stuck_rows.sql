-- Of each connection what a few lookups find: one probe tells whether anything waits at all, as in due_lanes, and of many that
-- wait for one thing there is one line with a count that ends at 100.
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
begin
  return query
  with recursive mine as materialized (
    select i.organization_id, i.id, p.name as provider, i.sync_frequency, crm_sync.floors_of(n) as floors
    from public.user_integrations as i
    join public.integration_providers as p on p.id = i.provider_id
    join crm_sync.lanes as n on n.organization_id = i.organization_id and n.integration_id = i.id
    where (p_integration_id is null or i.id = p_integration_id)
      and (v_sees_all or i.organization_id in (select crm_sync.member_organizations()))
  ),
  -- per connection: the first row that could go, the first that waits for a time, and why nothing goes
  lanes as materialized (
    select m.*, r.id as ready_id, r.contact_id as ready_contact_id, d.id as deferred_id, d.contact_id as deferred_contact_id, s.kind, s.reason, s.since, s.until
    from mine as m
    left join lateral (
      -- above the floors: below them an index is full of entries that rows have left
      select f.id, f.contact_id
      from unnest(m.floors) with ordinality as p (floor, priority)
      cross join lateral (
        select q.id, q.contact_id from public.sync_queue as q
        where q.integration_id = m.id and q.priority = p.priority and q.completed_at is null and q.next_attempt_at is null and q.batch_id is null
          and q.id > p.floor
        order by q.id
        limit 1
      ) as f
      order by p.priority
      limit 1
    ) as r on true
    left join lateral (
      select q.id, q.contact_id from public.sync_queue as q
      where q.integration_id = m.id and q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null
      order by q.next_attempt_at
      limit 1
    ) as d on true
    left join lateral crm_sync.standstill(m.organization_id, m.id) as s on r.id is not null or d.id is not null
    where r.id is not null or d.id is not null or exists (
      select from crm_sync.batches as b where b.organization_id = m.organization_id and b.integration_id = m.id
    )
  ),
  under_way as materialized (
    select l.organization_id, l.id as integration_id, l.provider, b.id as batch_id, b.worker_id, b.row_ids, b.contact_ids, b.claimed_at, b.lease_until,
      w.last_seen_at, crm_sync.is_alive(w.last_seen_at) as is_alive
    from lanes as l
    join crm_sync.batches as b on b.organization_id = l.organization_id and b.integration_id = l.id
    left join crm_sync.daemons as w on w.id = b.worker_id
  ),
  locks as materialized (
    select k.*, d.oid as here
    from pg_catalog.pg_locks as k
    join pg_catalog.pg_database as d on d.datname = pg_catalog.current_database()
    where v_sees_all and p_integration_id is null
  )
  -- everything of a connection
  select l.organization_id, l.id, l.provider, coalesce(l.ready_contact_id, l.deferred_contact_id), coalesce(l.ready_id, l.deferred_id),
    'the connection', null::bigint, null::uuid, l.since, l.until, l.reason, (
      select count(*) from (
        select from public.sync_queue as q where q.integration_id = l.id and q.completed_at is null limit 100
      ) as q
    )
  from lanes as l
  where l.kind is not null
  union all
  -- what a daemon holds that is not seen any more
  select u.organization_id, u.integration_id, u.provider, u.contact_ids[1], u.row_ids[1], 'a lease', null, u.worker_id, u.claimed_at, u.lease_until,
    case when u.is_alive then 'its lease has ended: the next claim of this connection takes its rows over'
      else coalesce('its daemon has not been seen since ' || to_char(u.last_seen_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), 'its daemon is gone')
        || ': its rows are taken over when its lease ends' end,
    cardinality(u.row_ids)
  from under_way as u
  where u.is_alive is not true or u.lease_until < clock_timestamp()
  union all
  -- behind a row of the same contact that is being sent
  select u.organization_id, u.integration_id, u.provider, w.contact_id, w.id, 'a row of its contact', w.blocking_id, u.worker_id, u.claimed_at, null,
    'another row of its contact is being sent: one after the other keeps their order', w.behind
  from under_way as u
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
  ) as w
  union all
  -- what waits for a time of its own
  select l.organization_id, l.id, l.provider, w.contact_id, w.id, case when w.status = 'retry' then 'its next attempt' else 'the next slot' end, null, null,
    coalesce(case when w.status = 'retry' then w.started_at end, w.created_at), w.next_attempt_at,
    case when w.status = 'retry' then coalesce(w.last_error, 'it is tried again') else 'this connection works ' || l.sync_frequency end, null
  from lanes as l
  cross join lateral (
    select q.* from public.sync_queue as q
    where q.integration_id = l.id and q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null and q.next_attempt_at > now()
    order by q.next_attempt_at
    limit 20
  ) as w
  where l.kind is null and l.deferred_id is not null
  union all
  -- sessions that hold up others at our tables: only those who look at all of them are told
  select null, null, null, null, null, format('session %s', h.pid), null, null, w.waitstart, null,
    format('session %s waits for a lock on %s that session %s holds', w.pid, o.relation::regclass, h.pid), null
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
end;
$$;
comment on function crm_sync.stuck_rows(bigint) is
  'Reader: who waits behind whom, of one connection or of all that the caller may see: at most 20 lines for one cause on a connection.';
