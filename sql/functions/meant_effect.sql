-- In plpgsql, where a plan is kept: it is asked for each row of an answer.
create or replace function crm_sync.meant_effect(p_row public.sync_queue) returns crm_sync.effects
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select jsonb_populate_record(null::crm_sync.effects, jsonb_build_object(
      'organization_id', p_row.organization_id, 'integration_id', p_row.integration_id,
      'object_type', case split_part(p_row.payload ->> 'key', ':', 1) when 'deal' then 'deal' when 'task' then 'task' else 'activity' end,
      'key', p_row.payload ->> 'key', 'contact_id', p_row.contact_id, 'message_id', p_row.message_id,
      'rule', case when p_row.queue_type = 'deal_sync' then split_part(p_row.payload ->> 'key', ':', 3) end, 'created_at', now()))
  );
end;
$$;
comment on function crm_sync.meant_effect(public.sync_queue) is 'Reader: the deal, activity or task that a row would make, as it would be noted before the first attempt.';
