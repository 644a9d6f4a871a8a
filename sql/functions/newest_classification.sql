-- Without a SET clause: part of the query that asks.
create or replace function crm_sync.newest_classification(p_organization_id uuid, p_contact_id uuid)
returns table (message_id uuid, classification_id uuid, intent text, priority text)
language sql stable rows 1
as $$
  select m.id, c.id, c.intent::text, c.priority::text
  from public.inbox_messages as m
  join public.message_classifications as c on c.message_id = m.id
  where m.organization_id = p_organization_id and m.contact_id = p_contact_id
  order by c.created_at desc, c.id
  limit 1
$$;
comment on function crm_sync.newest_classification(uuid, uuid) is 'Operator: what was last made of a contact''s replies: what a sync by hand carries along.';
