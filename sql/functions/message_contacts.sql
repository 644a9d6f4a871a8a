-- In plpgsql, where a plan is kept: it is asked for each row of an answer.
create or replace function crm_sync.message_contacts(p_organization_id uuid, p_message_id uuid) returns uuid[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select array(
      select g.contact_id from crm_sync.message_of(p_organization_id, p_message_id) as g where g.contact_id is not null
      union
      -- whom it was about when it was sent, should the host application have given it to somebody else since
      select e.contact_id
      from public.user_integrations as i
      cross join (values ('activity', 'message:'), ('task', 'task:')) as o (object_type, prefix)
      cross join lateral (
        select e.contact_id from crm_sync.effects as e
        where e.organization_id = p_organization_id and e.integration_id = i.id and e.object_type = o.object_type and e.key = o.prefix || p_message_id
        offset 0
      ) as e
      where i.organization_id = p_organization_id and e.contact_id is not null
    )
  );
end;
$$;
comment on function crm_sync.message_contacts(uuid, uuid) is 'Reader: the contact of a message, and whoever it was about when it was sent.';
