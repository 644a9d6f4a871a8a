create or replace function crm_sync.retry_cause(
  p_integration_id bigint, p_kind text, p_queue_type text, p_code text default null, p_field text default null, p_message text default null
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_message text := replace(p_message, E'\r\n', E'\n'); -- a browser writes line ends its own way
  v_room integer := crm_sync.rows_at_once();
  v_ids bigint[];
  v_total bigint;
begin
  perform crm_sync.require_integration(p_integration_id);
  -- the rows of one line of crm_sync.failures: by the CRM's code and its field, else by its words
  v_ids := array(
    select f.id
    from (
      select q.id, q.failure, q.queue_type, q.last_error from public.sync_queue as q
      where q.integration_id = p_integration_id and q.completed_at is not null and q.failure is not null
      union all
      select q.id, q.failure, q.queue_type, q.last_error from public.sync_queue as q
      where q.integration_id = p_integration_id and q.completed_at is null and q.next_attempt_at is not null and q.batch_id is null and q.status = 'retry'
    ) as f
    where coalesce(f.failure ->> 'kind', 'other') = p_kind and f.queue_type = p_queue_type
      and f.failure ->> 'code' is not distinct from p_code and f.failure ->> 'field' is not distinct from p_field
      and ((p_code is not null and p_field is not null) or replace(f.last_error, E'\r\n', E'\n') is not distinct from v_message)
    limit v_room + 1
  );
  v_total := crm_sync.retry_rows(p_integration_id, v_ids[:v_room], format(' of one cause (%s)', concat_ws(', ', p_kind, p_code, p_field)));
  if cardinality(v_ids) > v_room then
    raise notice '% row(s) put back, as many as one call takes; there are more: call it again', v_total;
  end if;
  return v_total;
end;
$$;
comment on function crm_sync.retry_cause(bigint, text, text, text, text, text) is
  'Operator: puts the failed rows of one line of crm_sync.failures back, with all their attempts, and brings those forward that were to be tried again anyway; up to 5,000 a call, returns how many.';
