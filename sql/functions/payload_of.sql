-- By the functions that compose what is sent; an effect that was never meant is meant here, in memory alone.
create or replace function crm_sync.payload_of(p_row public.sync_queue) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text := p_row.payload ->> 'key';
  v_type text := case when p_row.queue_type = 'deal_sync' then 'deal' when v_key like 'task:%' then 'task' else 'activity' end;
  v_meant crm_sync.effects[] := '{}';
  v_document jsonb;
begin
  if p_row.queue_type = 'contact_sync' then
    return crm_sync.compose_contacts(p_row.organization_id, p_row.integration_id, array[p_row]) -> 0 -> 'echo' -> 'fields';
  end if;
  if not exists (
    select from crm_sync.effects as e
    where e.organization_id = p_row.organization_id and e.integration_id = p_row.integration_id and e.object_type = v_type and e.key = v_key
  ) then
    v_meant := array[crm_sync.meant_effect(p_row)];
  end if;
  if v_type = 'deal' then
    return crm_sync.compose_deals(p_row.organization_id, p_row.integration_id, array[p_row], v_meant) -> 0 -> 'echo' -> 'fields';
  end if;
  v_document := case v_type
    when 'task' then crm_sync.compose_tasks(p_row.organization_id, p_row.integration_id, array[p_row], v_meant) -> 0
    else crm_sync.compose_activities(p_row.organization_id, p_row.integration_id, array[p_row], v_meant) -> 0
  end;
  return v_document - array['rows', 'contact_id', 'uncertain', 'queued_at', 'echo', 'key', 'external_id'];
end;
$$;
comment on function crm_sync.payload_of(public.sync_queue) is 'Reader: what would be sent now for one row of the queue, composed as it is when it is claimed.';
