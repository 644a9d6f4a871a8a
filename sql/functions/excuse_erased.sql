-- The batch has given up the rows; but the CRM has perhaps made something for them since: the row that deletes there learns its id.
create or replace function crm_sync.excuse_erased(p_batch crm_sync.batches, p_outcomes jsonb) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with late as materialized (
    select o.external_id, (p_batch.erased ->> (o.rows ->> -1))::bigint as row_id,
      case when o.echo ->> 'key' like 'deal:%' then 'deals' when o.echo ->> 'key' like 'task:%' then 'tasks' when o.echo ? 'key' then 'activities' else 'contacts' end as list
    from jsonb_to_recordset(p_outcomes) as o (rows jsonb, external_id text, echo jsonb)
    where o.external_id is not null and p_batch.erased ->> (o.rows ->> -1) is not null
  ),
  lists as (
    select l.row_id, jsonb_object_agg(l.list, l.ids) as ids
    from (select l.row_id, l.list, jsonb_agg(distinct l.external_id) as ids from late as l group by l.row_id, l.list) as l
    group by l.row_id
  )
  update public.sync_queue as q
  set payload = q.payload || (
    select coalesce(jsonb_object_agg(e.key, coalesce(q.payload -> e.key, '[]') || e.value), '{}') from jsonb_each(l.ids) as e
  )
  from lists as l
  where q.organization_id = p_batch.organization_id and q.id = l.row_id and q.queue_type = 'contact_erasure' and q.completed_at is null;

  return (
    select coalesce(jsonb_agg(o.outcome order by o.place), '[]')
    from jsonb_array_elements(p_outcomes) with ordinality as o (outcome, place)
    where not exists (select from jsonb_array_elements_text(o.outcome -> 'rows') as r (id) where p_batch.erased ? r.id)
  );
end;
$$;
comment on function crm_sync.excuse_erased(crm_sync.batches, jsonb) is
  'Worker: the outcomes without those of rows that were erased while they were under way; what the CRM made for them is noted for its deletion.';
