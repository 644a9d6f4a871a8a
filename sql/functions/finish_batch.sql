create or replace function crm_sync.finish_batch(p_batch_id bigint, p_outcomes jsonb) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set random_page_cost = 1000
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_batch crm_sync.batches;
  v_lane crm_sync.lanes;
  v_now timestamptz := clock_timestamp();
  v_park record;
  v_settled bigint[];
  v_tried bigint[];
  v_has_gone boolean := false;
begin
  -- one lock order everywhere: connection, lane, batch, rows, mappings
  select b.* into v_batch from crm_sync.batches as b where b.id = p_batch_id;
  if p_outcomes @? '$[*].failure.kind ? (@ == "unauthorized")' then
    perform from public.user_integrations as i where i.organization_id = v_batch.organization_id and i.id = v_batch.integration_id for no key update;
  else
    perform from public.user_integrations as i where i.organization_id = v_batch.organization_id and i.id = v_batch.integration_id for key share;
  end if;
  select l.* into v_lane
  from crm_sync.batches as b
  join crm_sync.lanes as l on l.organization_id = b.organization_id and l.integration_id = b.integration_id
  where b.id = p_batch_id
  for no key update of l;
  select * into v_batch from crm_sync.batches as b where b.id = p_batch_id for update;
  if v_batch.id is null then
    return 0; -- the lease ended and somebody else has taken over: what this worker says is void
  end if;
  if v_batch.erased is not null then
    p_outcomes := crm_sync.excuse_erased(v_batch, p_outcomes);
  end if;
  if p_outcomes @? '$[*].failure.code ? (@ == "CONTACT_GONE")' then
    v_has_gone := true;
    p_outcomes := crm_sync.excuse_gone_contacts(p_outcomes);
  end if;

  v_settled := crm_sync.settle_rows(v_batch, v_lane, p_outcomes);
  delete from crm_sync.batches as b where b.id = p_batch_id;

  perform crm_sync.record_contacts(v_batch, p_outcomes);
  perform crm_sync.record_effects(v_batch, p_outcomes);
  if v_has_gone then
    perform crm_sync.resync_gone_contacts(v_batch, p_outcomes);
  end if;
  perform crm_sync.log_outcomes(v_batch, p_outcomes);

  select o.failure ->> 'kind' as kind, o.failure ->> 'message' as message, (o.failure ->> 'retry_after')::double precision as retry_after
  into v_park
  from jsonb_to_recordset(p_outcomes) as o (status text, failure jsonb)
  where o.status = 'failed' and o.failure ->> 'kind' in ('unauthorized', 'rate_limited', 'unavailable')
  order by array_position(array['unauthorized', 'rate_limited', 'unavailable'], o.failure ->> 'kind'), (o.failure ->> 'retry_after')::double precision desc nulls last
  limit 1;
  if v_park.kind is not null then
    perform crm_sync.park_lane(v_batch, v_lane, v_park.kind, v_park.message, v_park.retry_after);
  end if;
  v_tried := v_settled;
  if p_outcomes @? '$[*].status ? (@ == "released")' then
    v_tried := array( -- what was handed back has not failed, whatever it met before
      select s.id from unnest(v_settled) as s (id)
      except
      select r.row_id::bigint
      from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text)
      cross join lateral jsonb_array_elements_text(o.rows) as r (row_id)
      where o.status = 'released'
    );
  end if;
  perform crm_sync.count_outcomes(v_batch, v_tried, (
    select o.failure ->> 'message' from jsonb_to_recordset(p_outcomes) as o (status text, failure jsonb) where o.status = 'failed' limit 1
  ), v_park.kind);
  return cardinality(v_settled);
end;
$$;
comment on function crm_sync.finish_batch(bigint, jsonb) is
  'Worker: settles a batch with one outcome for each document: rows, mappings, effects, log, counters and follow-up work in one transaction; returns how many rows, 0 for a claim that was lost.';
