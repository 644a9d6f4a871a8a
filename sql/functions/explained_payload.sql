-- Asks by itself whose the message is, and takes only what belongs to it: crm_sync.explain() calls it as whoever asks.
create or replace function crm_sync.explained_payload(
  p_message_id uuid, p_integration_id bigint, p_classification_id uuid, p_object text, p_queue_id bigint, p_key text
)
returns jsonb
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_message record;
  v_contact_id uuid;
  v_row public.sync_queue;
begin
  select g.organization_id, g.contact_id into v_message
  from public.inbox_messages as g
  join public.message_classifications as c on c.message_id = g.id and c.id = p_classification_id
  join public.user_integrations as i on i.organization_id = g.organization_id and i.id = p_integration_id
  where g.id = p_message_id;
  if v_message.organization_id is null or crm_sync.caller_may_see(v_message.organization_id) is not true then
    return null;
  end if;
  if p_queue_id is not null then
    select q.* into v_row
    from crm_sync.row_of(v_message.organization_id, p_queue_id) as q
    where q.message_id = p_message_id and q.integration_id = p_integration_id;
  else
    v_contact_id := coalesce(v_message.contact_id, (crm_sync.message_contacts(v_message.organization_id, p_message_id))[1]);
    if v_contact_id is not null then
      v_row := crm_sync.imagined_row(v_message.organization_id, p_integration_id, v_contact_id, p_message_id, p_classification_id,
        case p_object when 'contact' then 'contact_sync' when 'deal' then 'deal_sync' else 'activity_sync' end, p_key, 0);
    end if;
  end if;
  return case when v_row.id is not null then crm_sync.payload_of(v_row) end;
end;
$$;
comment on function crm_sync.explained_payload(uuid, bigint, uuid, text, bigint, text) is
  'Reader: what was or would be sent for one step of a message, for crm_sync.explain(); null for a message of others.';
