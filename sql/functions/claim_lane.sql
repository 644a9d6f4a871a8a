-- The queue alone: what a row is about, and whether a CRM could take it, is no business of this function.
create or replace function crm_sync.claim_lane(p_worker_id uuid, p_integration_id bigint, p_limit integer, p_lease interval, p_claim_id uuid default null) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_now timestamptz := clock_timestamp();
  -- before this transaction has a number: see mark_lane
  v_newest_id bigint := (
    select s.last_value - case when s.is_called then 0 else 1 end from public.sync_queue_id_seq as s where pg_catalog.pg_current_xact_id_if_assigned() is null
  );
  v_lane crm_sync.lanes;
  v_limit integer;
  v_provider record;
  v_under_way record;
  v_due record;
  v_ids bigint[];
  v_deferred_ids bigint[];
  v_deferred_priorities smallint[];
  v_depth integer;
  v_looked_at timestamptz;
  v_look interval;
  v_found record;
  v_contacts uuid[];
  v_batch_id bigint;
  v_doubtful_before timestamptz := coalesce((select f.doubtful_before from crm_sync.fence as f), '-infinity');
begin
  -- connection before lane, the order in which a connection is changed or deleted; the batch's foreign key takes this lock anyway
  perform from public.user_integrations as i where i.id = p_integration_id for key share skip locked;
  if not found and not crm_sync.lock_lane(p_integration_id) then
    return null;
  end if;
  -- the lane's lock makes two claims of one connection follow each other, which is what keeps a contact's order
  select * into v_lane from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update skip locked;
  if not found and crm_sync.lock_lane(p_integration_id) then
    select * into v_lane from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  end if;
  if not found or v_lane.paused_at is not null or v_lane.parked_until > v_now then
    return null;
  end if;
  -- as many rows as the CRM's own batches make worth while; one batch at a time where the CRM enforces no key of ours
  select crm_sync.whole_number(p.config -> 'batch_rows', 1, 10000) as batch_rows, crm_sync.allowed_in_flight(p.config, v_lane.failures, c.batches_in_flight) as allowed into v_provider
  from crm_sync.config as c
  cross join public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id and p.is_active
  where i.organization_id = v_lane.organization_id and i.id = v_lane.integration_id and i.status in ('connected', 'syncing')
    and not exists (select from crm_sync.wide_pauses(i.organization_id, p.name));
  if not found then
    return null;
  end if;
  p_limit := least(p_limit, v_provider.batch_rows);

  if crm_sync.take_over_expired(v_lane.organization_id, v_lane.integration_id) > 0 then
    v_lane.look_behind_at := '-infinity';
  end if;
  select count(distinct b.id) as batches, coalesce(array_agg(u.contact_id) filter (where u.contact_id is not null), '{}') as contacts into v_under_way
  from crm_sync.batches as b
  left join lateral unnest(b.contact_ids) as u (contact_id) on true
  where b.organization_id = v_lane.organization_id and b.integration_id = v_lane.integration_id;
  if v_under_way.batches >= v_provider.allowed then
    return null;
  end if;

  with ready as (
    update public.sync_queue as q
    set next_attempt_at = null
    from (
      select d.organization_id, d.id from public.sync_queue as d
      where d.integration_id = p_integration_id and d.completed_at is null and d.batch_id is null and d.next_attempt_at is not null and d.next_attempt_at <= v_now
      order by d.next_attempt_at
      limit p_limit
      for update skip locked
    ) as d
    where q.organization_id = d.organization_id and q.id = d.id
    returning q.id, q.priority
  )
  select array_agg(r.id) as ids, array_agg(r.priority) as priorities into v_due from ready as r;
  if v_due.ids is not null then
    v_lane.floors := crm_sync.lower_floors(v_lane.floors, v_due.ids, v_due.priorities);
    v_lane.look_behind_at := '-infinity';
  end if;

  v_lane := crm_sync.mark_lane(v_lane, v_newest_id);
  v_limit := least(p_limit, coalesce(v_lane.batch_limit, p_limit));
  -- ahead of the cursors; where nothing is, or now and then, from the floors; and rarely all of it: whoever changes rows by
  -- hand, or gives out ids in another order, does not know of floors
  v_looked_at := clock_timestamp(); -- waiting for the lane is not looking
  v_depth := case when v_lane.search_all_at <= v_now - interval '10 minutes' then 2 when v_lane.look_behind_at <= v_now then 1 else 0 end;
  loop
    if v_depth = 2 then
      v_lane.floors := array_fill(0::bigint, array[10]);
    end if;
    if v_depth > 0 then
      v_lane.floors := crm_sync.raise_floors(v_lane);
    end if;
    -- one priority after the other, each from its cursor on, until there are enough
    select array_agg(f.contact_id) as contacts, array_agg(f.priority) as priorities, array_agg(f.id) as ids into v_found
    from (
      select p.priority, r.id, r.contact_id
      from generate_series(1, 10) as p (priority)
      cross join lateral (
        select q.id, q.contact_id from public.sync_queue as q
        where q.integration_id = p_integration_id and q.priority = p.priority
          and q.id > case when v_depth > 0 then v_lane.floors[p.priority] else v_lane.cursors[p.priority] end
          and q.completed_at is null and q.next_attempt_at is null and q.batch_id is null
          -- a contact that is being worked on waits; looked up in a hash table, not held against each
          and (q.contact_id in (select u.contact_id from unnest(v_under_way.contacts) as u (contact_id))) is not true
        order by q.id
        limit v_limit
      ) as r
      limit v_limit
    ) as f;
    exit when v_found.ids is not null or v_depth = 2 or (v_depth = 1 and v_lane.search_all_at > v_now);
    v_depth := v_depth + 1;
  end loop;
  v_look := clock_timestamp() - v_looked_at;

  if v_found.ids is not null then
    v_contacts := array(select f.contact_id from unnest(v_found.contacts) with ordinality as f (contact_id, place) group by f.contact_id order by min(f.place));
    if v_under_way.batches > 0 then
      v_contacts := crm_sync.withhold_shared_addresses(v_lane.organization_id, p_integration_id, v_contacts);
    end if;
    -- a failover to a replica that was behind, or a crash without synchronous_commit, sets a sequence back: with chance in
    -- it, a daemon that still holds a batch from before cannot settle somebody else's
    v_batch_id := nextval('crm_sync.batches_id_seq') << 20 | floor(random() * 1048576)::bigint;
    -- whatever else waits for these contacts comes along: one order, and the newest state is sent once. Should that be
    -- too much, the oldest of a contact go first and the last contacts wait: looking behind finds again what was found above
    with claimed as (
      update public.sync_queue as q
      set status = 'processing', batch_id = v_batch_id, attempts = q.attempts + 1, started_at = now(), next_attempt_at = null,
        uncertain = q.uncertain or q.created_at < v_doubtful_before
      from (
        select r.*
        from unnest(v_contacts) as c (contact_id)
        cross join lateral (
          select o.ctid, o.next_attempt_at is not null as was_deferred from public.sync_queue as o
          where o.integration_id = p_integration_id and o.contact_id = c.contact_id and o.completed_at is null and o.batch_id is null
          order by o.id
          limit p_limit
          for update skip locked
        ) as r
        limit 5 * p_limit
      ) as r
      where q.ctid = r.ctid
      returning q.id, q.priority, r.was_deferred
    )
    select array_agg(c.id), array_agg(c.id) filter (where c.was_deferred), array_agg(c.priority) filter (where c.was_deferred)
    into v_ids, v_deferred_ids, v_deferred_priorities
    from claimed as c;
    if v_deferred_ids is not null then
      v_lane.floors := crm_sync.lower_floors(v_lane.floors, v_deferred_ids, v_deferred_priorities);
    end if;
  end if;

  update crm_sync.lanes as l
  set last_claimed_at = v_now,
    cursors = array(
      select coalesce(f.id, l.cursors[p.priority])
      from generate_series(1, 10) as p (priority)
      left join (
        select f.priority, max(f.id) as id from unnest(v_found.ids, v_found.priorities) as f (id, priority) group by f.priority
      ) as f on f.priority = p.priority
      order by p.priority
    ),
    floors = v_lane.floors, settled_id = v_lane.settled_id, marked_id = v_lane.marked_id, marked_xid = v_lane.marked_xid,
    -- looking behind may be dear while an old snapshot keeps dead index entries: spend a fiftieth of the time on it, and a
    -- thousandth on looking at all
    look_behind_at = case when v_depth > 0 then v_now + greatest(interval '1 second', 50 * v_look) else l.look_behind_at end,
    search_all_at = case when v_depth = 2 then v_now + least(greatest(interval '10 seconds', 1000 * v_look), interval '10 minutes') else l.search_all_at end
  where l.organization_id = v_lane.organization_id and l.integration_id = v_lane.integration_id;

  if v_ids is null then
    return null;
  end if;
  insert into crm_sync.batches (id, organization_id, integration_id, worker_id, claim_id, row_ids, contact_ids, took_all, lease_until)
  overriding system value
  values (v_batch_id, v_lane.organization_id, p_integration_id, p_worker_id, p_claim_id, v_ids, v_contacts, cardinality(v_found.ids) < v_limit, clock_timestamp() + p_lease);
  return v_batch_id;
end;
$$;
comment on function crm_sync.claim_lane(uuid, bigint, integer, interval, uuid) is 'Worker: claims a batch of one connection; null when there is nothing to take from it now.';
