create or replace function crm_sync.message_of(p_organization_id uuid, p_message_id uuid) returns setof public.inbox_messages
language sql stable parallel safe rows 1
as $$
  select g.* from public.inbox_messages as g
  where g.id = p_message_id and (g.organization_id = p_organization_id) is true
  limit 1
$$;
comment on function crm_sync.message_of(uuid, uuid) is 'Worker: a message by its key, whatever the statistics say.';
