-- Said of each row, as what is not spoken of was taken by a daemon that does not know of it (settle_rows); what was uncertain before stays so.
create or replace function crm_sync.release_batch(p_batch_id bigint) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch crm_sync.batches := (select b from crm_sync.batches as b where b.id = p_batch_id);
begin
  perform crm_sync.finish_batch(p_batch_id, (
    select coalesce(jsonb_agg(jsonb_build_object('rows', jsonb_build_array(q.id), 'status', 'released', 'uncertain', q.uncertain)), '[]')
    from unnest(v_batch.row_ids) as u (id)
    cross join lateral crm_sync.row_of(v_batch.organization_id, u.id) as q
  ));
  -- its rows lie behind the cursors
  update crm_sync.lanes as l set look_behind_at = '-infinity' where l.organization_id = v_batch.organization_id and l.integration_id = v_batch.integration_id;
  return coalesce(cardinality(v_batch.row_ids), 0);
end;
$$;
comment on function crm_sync.release_batch(bigint) is 'Worker: hands back a batch of which nothing was sent; costs no attempt; returns how many rows.';
