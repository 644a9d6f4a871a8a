create or replace function crm_sync.claim_lane(p_worker_id uuid, p_integration_id bigint, p_limit integer, p_lease interval) returns bigint
language plpgsql
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_custom_plan
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_lane crm_sync.lanes;
  v_limit integer;
  v_provider record;
  v_looks_behind boolean;
  v_cursors bigint[];
  v_priority integer;
  v_ids bigint[];
  v_contacts uuid[];
  v_found_ids bigint[];
  v_found_contacts uuid[];
  v_batch_id bigint;
begin
  -- connection before lane, the order in which a connection is changed or deleted; the batch's foreign key takes this lock anyway
  perform from public.user_integrations as i where i.id = p_integration_id for key share;
  -- the lane's lock makes two claims of one connection follow each other, which is what keeps a contact's order
  select * into v_lane from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  if not found or v_lane.paused_at is not null or v_lane.parked_until > v_now then
    return null;
  end if;
  -- as many rows as the CRM's own batches make worth while; one batch at a time where the CRM enforces no key of ours
  select crm_sync.whole_number(p.config -> 'batch_rows', 1, 10000) as batch_rows, crm_sync.allowed_in_flight(p.config, v_lane.failures) as allowed into v_provider
  from public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id and p.is_active
  where i.organization_id = v_lane.organization_id and i.id = v_lane.integration_id and i.status in ('connected', 'syncing');
  if not found then
    return null;
  end if;
  p_limit := least(p_limit, v_provider.batch_rows);

  if crm_sync.take_over_expired(v_lane.organization_id, v_lane.integration_id) > 0 then
    v_lane.look_behind_at := '-infinity';
  end if;
  if (select count(*) from crm_sync.batches as b where b.organization_id = v_lane.organization_id and b.integration_id = v_lane.integration_id)
    >= v_provider.allowed
  then
    return null;
  end if;

  update public.sync_queue as q
  set next_attempt_at = null
  from (
    select d.organization_id, d.id from public.sync_queue as d
    where d.integration_id = p_integration_id and d.status in ('pending', 'retry') and d.next_attempt_at is not null and d.next_attempt_at <= v_now
    order by d.next_attempt_at
    limit p_limit
    for update skip locked
  ) as d
  where q.organization_id = d.organization_id and q.id = d.id;
  if found then
    v_lane.look_behind_at := '-infinity';
  end if;

  v_limit := least(p_limit, coalesce(v_lane.batch_limit, p_limit));
  loop
    v_looks_behind := v_lane.look_behind_at <= v_now;
    v_cursors := v_lane.cursors;
    v_ids := '{}';
    v_contacts := '{}';
    for v_priority in 1..10 loop
      select coalesce(array_agg(x.id), '{}'), coalesce(array_agg(x.contact_id), '{}') into v_found_ids, v_found_contacts
      from (
        select q.id, q.contact_id from public.sync_queue as q
        where q.integration_id = p_integration_id and q.priority = v_priority and q.id > case when v_looks_behind then 0 else v_cursors[v_priority] end
          and q.status in ('pending', 'retry') and q.next_attempt_at is null
          -- a probe for each row, not an anti-join: that might read every open row of the connection
          and (
            select o.id from public.sync_queue as o
            where o.integration_id = p_integration_id and o.contact_id = q.contact_id
              and o.status in ('pending', 'retry', 'processing') and o.batch_id is not null
            limit 1
          ) is null
        order by q.id
        limit v_limit - cardinality(v_ids)
        for update skip locked
      ) as x;
      if cardinality(v_found_ids) > 0 then
        v_cursors[v_priority] := v_found_ids[cardinality(v_found_ids)];
        v_ids := v_ids || v_found_ids;
        v_contacts := v_contacts || v_found_contacts;
      end if;
      exit when cardinality(v_ids) >= v_limit;
    end loop;
    exit when cardinality(v_ids) > 0 or v_looks_behind;
    v_lane.look_behind_at := '-infinity'; -- nothing ahead of the cursors: be sure before saying so
  end loop;

  if cardinality(v_ids) > 0 then
    -- whatever else waits for these contacts comes along: one order, and the newest state is sent once. Should that be
    -- too much, the oldest of a contact go first and the last contacts wait: looking behind finds again what was found above
    v_ids := array(
      select w.id
      from (select c.contact_id from unnest(v_contacts) with ordinality as c (contact_id, place) group by c.contact_id order by min(c.place)) as c
      cross join lateral (
        select q.id from public.sync_queue as q
        where q.integration_id = p_integration_id and q.contact_id = c.contact_id
          and q.status in ('pending', 'retry', 'processing') and q.batch_id is null
        order by q.id
        limit p_limit
        for update skip locked
      ) as w
      limit 5 * p_limit
    );
    v_ids := crm_sync.withhold_shared_addresses(v_lane.organization_id, p_integration_id, v_ids);
    v_found_ids := v_ids;
    v_ids := crm_sync.skip_unsendable(v_lane.organization_id, p_integration_id, v_ids);
  end if;

  update crm_sync.lanes as l
  set cursors = v_cursors, last_claimed_at = v_now,
    -- looking behind may be dear while an old snapshot keeps dead index entries: spend a fiftieth of the time on it
    look_behind_at = case when v_looks_behind
      then v_now + greatest(interval '1 second', 50 * (clock_timestamp() - v_now)) else l.look_behind_at end
  where l.organization_id = v_lane.organization_id and l.integration_id = v_lane.integration_id;

  if cardinality(v_ids) = 0 then
    return case when cardinality(v_found_ids) > 0 then 0 end;
  end if;

  insert into crm_sync.batches (organization_id, integration_id, worker_id, row_ids, lease_until)
  values (v_lane.organization_id, p_integration_id, p_worker_id, v_ids, clock_timestamp() + p_lease)
  returning id into v_batch_id;
  update public.sync_queue as q
  set status = 'processing', batch_id = v_batch_id, attempts = q.attempts + 1, started_at = now(), next_attempt_at = null
  from (select v_lane.organization_id as organization_id, u.id from unnest(v_ids) as u (id) offset 0) as c
  where q.organization_id = c.organization_id and q.id = c.id;
  return v_batch_id;
end;
$$;
comment on function crm_sync.claim_lane(uuid, bigint, integer, interval) is 'Worker: claims a batch of one connection; null when there is nothing to take from it now, 0 when it only skipped rows and may hold more.';
