create or replace function crm_sync.mapping_of(p_organization_id uuid, p_integration_id bigint, p_contact_id uuid)
returns setof public.contact_sync_mappings
language sql stable parallel safe rows 1
as $$
  select m.* from public.contact_sync_mappings as m
  where m.contact_id = p_contact_id
    and (m.integration_id = p_integration_id) is true and (m.organization_id = p_organization_id) is true
  limit 1
$$;
comment on function crm_sync.mapping_of(uuid, bigint, uuid) is 'Worker: the mapping of a contact in a connection, whatever the statistics say.';
