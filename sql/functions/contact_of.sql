-- One lookup by key for each row that asks, even by a plan that was made for nearly empty tables and is kept for the session: one
-- index begins with the column that is compared as an index can, and the other columns are compared with `is true`, as none can.
-- The limit keeps the planner from starting at the other end. So in the other functions _of. No SET clause here: they are planned
-- as a part of the query that asks.
create or replace function crm_sync.contact_of(p_organization_id uuid, p_contact_id uuid) returns setof public.contacts
language sql stable parallel safe rows 1
as $$
  select k.* from public.contacts as k
  where k.id = p_contact_id and (k.organization_id = p_organization_id) is true
  limit 1
$$;
comment on function crm_sync.contact_of(uuid, uuid) is 'Worker: a contact by its key, whatever the statistics say.';
