-- In plpgsql, where a plan is kept: it is asked for each row of an answer.
create or replace function crm_sync.imagined_row(
  p_organization_id uuid, p_integration_id bigint, p_contact_id uuid, p_message_id uuid, p_classification_id uuid, p_queue_type text, p_key text, p_place bigint
)
returns public.sync_queue
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select jsonb_populate_record(null::public.sync_queue, jsonb_build_object(
      'id', 9000000000000000000 + p_place, -- after all that there are
      'organization_id', p_organization_id, 'integration_id', p_integration_id, 'contact_id', p_contact_id, 'message_id', p_message_id,
      'classification_id', p_classification_id, 'queue_type', p_queue_type, 'status', 'pending', 'priority', 5, 'attempts', 0, 'max_attempts', 3,
      'uncertain', false, 'payload', case when p_key is null then '{}'::jsonb else jsonb_build_object('key', p_key) end,
      'scheduled_at', now(), 'created_at', now()))
  );
end;
$$;
comment on function crm_sync.imagined_row(uuid, bigint, uuid, uuid, uuid, text, text, bigint) is
  'Reader: a row of the queue that is not there, for composing what it would send.';
