-- One lookup by the whole key for each row that asks, even by a plan that was made while the tables were empty and is kept for the
-- session: when every index costs the same, a range and an order speak for the one that ends with this column, and the limit
-- keeps the planner from starting at the other end. So in message_of, mapping_of and row_of. No SET clause: it is planned
-- as a part of the query that asks.
create or replace function crm_sync.contact_of(p_organization_id uuid, p_contact_id uuid) returns setof public.contacts
language sql stable parallel safe rows 1
as $$
  select k.* from public.contacts as k
  where k.organization_id = p_organization_id and k.id between p_contact_id and p_contact_id
  order by k.id
  limit 1
$$;
comment on function crm_sync.contact_of(uuid, uuid) is 'Worker: a contact by its key, whatever the statistics say.';
