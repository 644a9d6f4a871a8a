create or replace function crm_sync.retry_failed(
  p_integration_id bigint default null, p_cause text default null, p_failed_since interval default null, p_failed_before timestamptz default null
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_integration_id bigint;
  v_room integer;
  v_ids bigint[];
  v_total bigint := 0;
  v_has_more boolean := false;
  v_busy bigint[] := '{}';
begin
  if btrim(p_cause) = '' then
    raise exception using errcode = 'CS054', message = 'the cause is blank', hint = 'Give a text of the error or the CRM''s code, or null for every cause.';
  elsif p_failed_since <= interval '0' then
    raise exception using errcode = 'CS054', message = format('rows cannot have failed within the last %s', p_failed_since),
      hint = 'Give an interval like ''2 hours'', or null for all times.';
  end if;
  if p_integration_id is not null then
    perform crm_sync.require_integration(p_integration_id);
  end if;
  for v_integration_id in
    select p_integration_id where p_integration_id is not null
    union all
    select m from crm_sync.managed_integrations() as m where p_integration_id is null
    order by 1 -- one lock order for all who take several
  loop
    v_room := crm_sync.rows_at_once() - v_total::integer;
    v_ids := array(
      select f.id
      from (
        (
          -- in no order: by their age a planner would find them in an index of all finished rows
          select q.id from public.sync_queue as q
          where q.integration_id = v_integration_id and q.completed_at is not null and q.failure is not null and q.status = 'failed'
            and (p_cause is null or q.failure ->> 'code' = p_cause or strpos(lower(q.last_error), lower(p_cause)) > 0)
            and q.completed_at >= coalesce(now() - p_failed_since, '-infinity') and q.completed_at < coalesce(p_failed_before, 'infinity')
          limit v_room + 1
        )
        union all
        (
          -- what has failed before and is to be tried again later
          select q.id from public.sync_queue as q
          where q.integration_id = v_integration_id and q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null and q.status = 'retry'
            and (p_cause is null or q.failure ->> 'code' = p_cause or strpos(lower(q.last_error), lower(p_cause)) > 0)
            and q.started_at >= coalesce(now() - p_failed_since, '-infinity') and q.started_at < coalesce(p_failed_before, 'infinity')
          limit v_room + 1
        )
      ) as f
      limit v_room + 1
    );
    -- of many none is waited for while the lanes of others are held
    if p_integration_id is null and cardinality(v_ids) > 0 and not crm_sync.lock_lane(v_integration_id) then
      v_busy := v_busy || v_integration_id;
      continue;
    end if;
    v_has_more := cardinality(v_ids) > v_room;
    v_total := v_total + crm_sync.retry_rows(v_integration_id, v_ids[:v_room]);
    exit when v_has_more;
  end loop;
  if cardinality(v_busy) > 0 then
    raise notice 'connections that somebody is just changing were left alone: %; call it again', array_to_string(v_busy, ', ');
  end if;
  if v_has_more then
    raise notice '% row(s) put back, as many as one call takes; there are more: call it again', v_total;
  end if;
  return v_total;
end;
$$;
comment on function crm_sync.retry_failed(bigint, text, interval, timestamptz) is
  'Operator: puts failed rows back with all their attempts and brings forward those that wait for a later one, of a connection or (null) all that the caller manages: all of them, those with a code or a text in their error, those that failed within the last while, or before a time; up to 5,000 a call, returns how many.';
