create or replace function crm_sync.contacts_by_id(p_contact_ids uuid[])
returns table (contact_id uuid, organization_id uuid, email text, first_name text, last_name text, company text, phone text)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  select k.id, k.organization_id, k.email::text, k.first_name::text, k.last_name::text, k.company::text, k.phone::text
  from (select distinct u.id from unnest(p_contact_ids[1:500]) as u (id)) as u
  cross join lateral (
    select k.* from public.contacts as k
    where k.id = u.id and (k.organization_id = any (array(select crm_sync.member_organizations()))) is true
    limit 1
  ) as k
$$;
comment on function crm_sync.contacts_by_id(uuid[]) is 'Reader: who these contacts are, as far as they belong to the asking user''s organizations; 500 at most.';
