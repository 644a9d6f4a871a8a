-- By what erase_contact() and lift_erasure() ask, so that a page offers exactly what they allow.
create or replace function crm_sync.contact_rights(p_contact_id uuid) returns table (organization_id uuid, may_manage boolean)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select o.id, crm_sync.caller_may_manage(o.id)
  from crm_sync.organization_of_traces(p_contact_id, true) as o (id)
  where o.id is not null
$$;
comment on function crm_sync.contact_rights(uuid) is
  'Reader: whose contact this is, also one that the host application has deleted, and whether the caller may sync and erase it; no row where the caller may not see it.';
