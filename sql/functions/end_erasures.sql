create or replace function crm_sync.end_erasures(p_batch crm_sync.batches, p_outcomes jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with ended as (
    update public.sync_queue as q
    set payload = '{}', last_error = null, failure = null
    from (
      select p_batch.organization_id as organization_id, (o.rows ->> -1)::bigint as row_id
      from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, echo jsonb)
      where o.status = 'synced' and o.echo ? 'erased'
      offset 0
    ) as o
    where q.organization_id = o.organization_id and q.id = o.row_id and q.queue_type = 'contact_erasure' and q.status = 'completed'
    returning q.organization_id, q.contact_id, q.integration_id
  )
  update crm_sync.erasures as e
  set reached = array(select distinct u.id from unnest(e.reached || d.integration_id) as u (id) order by u.id), reached_at = now()
  from ended as d
  where e.organization_id = d.organization_id and e.contact_id = d.contact_id;
end;
$$;
comment on function crm_sync.end_erasures(crm_sync.batches, jsonb) is 'Worker: what a CRM has deleted is forgotten here as well: the row that asked for it keeps no ids.';
