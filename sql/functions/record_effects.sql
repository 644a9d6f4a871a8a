create or replace function crm_sync.record_effects(p_batch crm_sync.batches, p_outcomes jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
  update crm_sync.effects as e
  set external_id = o.external_id, confirmed_at = now()
  from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, external_id text, echo jsonb)
  where o.status = 'synced' and e.organization_id = p_batch.organization_id and e.integration_id = p_batch.integration_id
    and e.object_type = case when o.echo ->> 'key' like 'deal:%' then 'deal' else 'activity' end and e.key = o.echo ->> 'key';

  update public.contact_sync_mappings as m
  set external_deal_id = o.external_id
  from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, external_id text)
  join public.sync_queue as q
    on q.organization_id = p_batch.organization_id and q.id = (o.rows ->> -1)::bigint and q.queue_type = 'deal_sync'
  where o.status = 'synced' and m.organization_id = p_batch.organization_id and m.integration_id = p_batch.integration_id
    and m.contact_id = q.contact_id;
end;
$$;
comment on function crm_sync.record_effects(crm_sync.batches, jsonb) is 'Worker: remembers the CRM''s ids of the deals and activities that it confirmed.';
