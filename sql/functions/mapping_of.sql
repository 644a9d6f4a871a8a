create or replace function crm_sync.mapping_of(p_organization_id uuid, p_integration_id bigint, p_contact_id uuid)
returns setof public.contact_sync_mappings
language sql stable parallel safe rows 1
as $$
  select m.* from public.contact_sync_mappings as m
  where m.organization_id = p_organization_id and m.integration_id = p_integration_id and m.contact_id between p_contact_id and p_contact_id
  order by m.contact_id
  limit 1
$$;
comment on function crm_sync.mapping_of(uuid, bigint, uuid) is 'Worker: the mapping of a contact in a connection, whatever the statistics say.';
