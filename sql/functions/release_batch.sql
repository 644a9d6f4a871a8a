create or replace function crm_sync.release_batch(p_batch_id bigint) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rows integer;
begin
  select cardinality(b.row_ids) into v_rows from crm_sync.batches as b where b.id = p_batch_id;
  perform crm_sync.finish_batch(p_batch_id, '[]');
  return coalesce(v_rows, 0);
end;
$$;
comment on function crm_sync.release_batch(bigint) is 'Worker: hands back a batch of which nothing was sent; costs no attempt; returns how many rows.';
