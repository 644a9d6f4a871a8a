create or replace function crm_sync.log_outcomes(p_batch crm_sync.batches, p_outcomes jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  with outcomes as materialized (
    select p_batch.organization_id as organization_id, o.*
    from jsonb_to_recordset(p_outcomes) as o (
      rows jsonb, status text, external_id text, company_external_id text, created boolean, remark text, failure jsonb, duration_ms integer, echo jsonb
    )
    where o.status <> 'released'
  )
  insert into public.sync_activity_logs (
    organization_id, integration_id, activity_type, status, contact_id, message_id, mapping_id, title, description,
    external_id, duration_ms, request_data, response_data, error_details
  )
  select
    p_batch.organization_id, p_batch.integration_id, t.activity_type,
    case when o.status = 'failed' then case when q.status = 'failed' then 'error' else 'warning' end when o.remark is not null then 'warning' else 'success' end,
    case when q.queue_type <> 'contact_erasure' then q.contact_id end, q.message_id, m.id,
    case
      when o.status = 'synced' and q.queue_type = 'contact_erasure' then 'Person erased in the CRM'
      when o.status = 'synced' then t.noun || case when o.created then ' created' else ' brought up to date' end
      when q.status = 'failed' then t.noun || ' failed'
      else t.noun || ' will be tried again'
    end,
    coalesce(o.remark, q.last_error),
    o.external_id, o.duration_ms,
    case when o.status = 'synced' then o.echo -> 'fields' end,
    case when o.status = 'synced' then jsonb_strip_nulls(jsonb_build_object('id', o.external_id, 'company_id', o.company_external_id)) end,
    o.failure
  from outcomes as o
  cross join lateral crm_sync.row_of(o.organization_id, (o.rows ->> -1)::bigint) as q
  cross join lateral (
    select
      case q.queue_type when 'contact_sync' then 'sync_contact' when 'deal_sync' then 'sync_deal' when 'contact_erasure' then 'erase_contact' else 'sync_activity' end as activity_type,
      case when q.queue_type = 'contact_sync' then 'Contact' when q.queue_type = 'deal_sync' then 'Deal' when q.queue_type = 'contact_erasure' then 'Erasure' when q.payload ->> 'key' like 'task:%' then 'Task' else 'Activity' end as noun
  ) as t
  left join lateral crm_sync.mapping_of(q.organization_id, q.integration_id, q.contact_id) as m on true;

  -- a field that the CRM complains about may not be what we take it for any more
  update crm_sync.lanes as l
  set described_at = null
  where l.organization_id = p_batch.organization_id and l.integration_id = p_batch.integration_id and l.described_at < now() - interval '1 minute'
    and p_outcomes @? '$[*].failure ? (@.kind == "rejected" && @.field != null)';
end;
$$;
comment on function crm_sync.log_outcomes(crm_sync.batches, jsonb) is
  'Worker: one log entry for each outcome; has the CRM''s fields read again when it complains about one.';
