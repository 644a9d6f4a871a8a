-- Asks by itself whose the connection is: crm_sync.explain() calls it as whoever asks.
create or replace function crm_sync.explained_mapping(p_organization_id uuid, p_integration_id bigint, p_object text) returns jsonb
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when crm_sync.caller_may_see(p_organization_id) then crm_sync.mapping_in_force(p_organization_id, p_integration_id, p_object) end;
end;
$$;
comment on function crm_sync.explained_mapping(uuid, bigint, text) is
  'Reader: the rules by which an object''s fields are filled now, for crm_sync.explain(); null for a connection of others.';
