create or replace function crm_sync.claim_batch(
  p_worker_id uuid,
  p_limit integer default 100,
  p_integration_ids bigint[] default null,
  p_lease interval default '60 seconds',
  p_opening jsonb default null,
  p_claim_id uuid default null
)
returns table (batch json, due bigint[], next_due_at timestamptz, is_prepaid boolean, look_seconds double precision)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
  v_candidates bigint[] := p_integration_ids;
  v_next timestamptz;
  v_batch_id bigint;
  v_is_prepaid boolean := false;
  v_begun timestamptz := clock_timestamp();
  v_look interval := '0';
begin
  if p_limit not between 1 and 10000 then
    raise exception using errcode = 'CS020', message = format('a batch has 1 to 10000 rows, not %s', p_limit);
  end if;
  if v_candidates is null then
    -- whoever was served longest ago comes first: a backlog of one tenant delays another by one turn
    select coalesce(array_agg(d.integration_id order by d.last_claimed_at nulls first, d.integration_id) filter (where d.is_due), '{}'),
      min(d.due_at) filter (where not d.is_due and d.due_at > clock_timestamp() and d.due_at < 'infinity')
    into v_candidates, v_next
    from crm_sync.due_lanes() as d;
    v_look := clock_timestamp() - v_begun;
  end if;
  -- one lane's lock in a transaction, or two claims could wait for each other: when this lane has nothing, ask again
  if cardinality(v_candidates) > 0 then
    v_batch_id := crm_sync.claim_lane(p_worker_id, v_candidates[1], p_limit, p_lease, p_claim_id);
    if v_batch_id is null then
      v_candidates := v_candidates[2:];
    elsif crm_sync.skip_unsendable(v_batch_id) > 0 then
      if p_opening is not null then
        v_is_prepaid := crm_sync.prepay(v_candidates[1], p_opening);
      end if;
      v_candidates := v_candidates[2:];
    else
      v_batch_id := null; -- all of it was skipped, and there may be more
      v_candidates := v_candidates[2:] || v_candidates[1];
      v_next := clock_timestamp();
    end if;
  end if;
  return query select crm_sync.compose_batch(v_batch_id), v_candidates, v_next, v_is_prepaid, extract(epoch from v_look)::double precision;
end;
$$;
comment on function crm_sync.claim_batch(uuid, integer, bigint[], interval, jsonb, uuid) is
  'Worker: claims a batch, of the first of the given connections or of the one that waited longest, and takes what its first call costs of the rate limits; also returns the other connections that are due, the time of the next work, and how long looking took. The claim has a name, if the daemon gives it one, for release_claim.';
