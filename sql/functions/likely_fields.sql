create or replace function crm_sync.likely_fields(p_organization_id uuid, p_integration_id bigint, p_object text, p_name text) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select array_agg(n.name order by n.likeness desc, n.name)
  from (
    select f.name, greatest(crm_sync.likeness(f.name, p_name), crm_sync.likeness(f.label, p_name)) as likeness
    from crm_sync.crm_fields as f
    where f.organization_id = p_organization_id and f.integration_id = p_integration_id and f.object = p_object and f.is_writable
    order by likeness desc, f.name
    limit 20
  ) as n
$$;
comment on function crm_sync.likely_fields(uuid, bigint, text, text) is 'Trigger: the fields of the CRM that somebody may have meant, the likeliest first, at most 20.';
