-- A deal, an activity or a task met a contact that is no longer in the CRM: the contact is made again, and the row after it.
-- Called when all else of the batch is recorded: the same batch may have said that the contact is unchanged.
create or replace function crm_sync.resync_gone_contacts(p_batch crm_sync.batches, p_outcomes jsonb) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  with outcomes as materialized (
    select p_batch.organization_id as organization_id, (o.rows ->> -1)::bigint as row_id
    from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, failure jsonb)
    where o.status = 'failed' and o.failure ->> 'code' = 'CONTACT_GONE'
  ),
  gone as materialized (
    select distinct on (q.contact_id) q.*
    from outcomes as o
    join public.sync_queue as q
      on q.organization_id = o.organization_id and q.id = o.row_id and q.queue_type <> 'contact_sync' and q.status = 'retry'
    order by q.contact_id, q.id desc
  ),
  forgotten as (
    -- what was last sent is no longer there, so nothing of it counts as unchanged
    update public.contact_sync_mappings as m
    set sync_data = m.sync_data - 'fields'
    from gone as g
    where m.contact_id = g.contact_id and (m.integration_id = g.integration_id) is true and (m.organization_id = g.organization_id) is true -- as in contact_of
  )
  insert into public.sync_queue (organization_id, integration_id, contact_id, message_id, classification_id, queue_type, priority, payload)
  select g.organization_id, g.integration_id, g.contact_id, g.message_id, g.classification_id, 'contact_sync', g.priority,
    jsonb_build_object('because', 'the contact was no longer in the CRM')
  from gone as g
  where not exists (
    select from public.sync_queue as q
    where q.integration_id = g.integration_id and q.contact_id = g.contact_id and q.completed_at is null and q.batch_id is null and q.queue_type = 'contact_sync'
  )
$$;
comment on function crm_sync.resync_gone_contacts(crm_sync.batches, jsonb) is
  'Worker: has contacts synced again that deals, activities or tasks no longer found in the CRM.';
