-- Contacts of ours that share an address are one record of the CRM. While one of them is under way the others wait, or
-- both batches would read that record before either has written it, and the later write would undo the earlier one.
create or replace function crm_sync.withhold_shared_addresses(p_organization_id uuid, p_integration_id bigint, p_contacts uuid[]) returns uuid[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_hashjoin = on
set plan_cache_mode = force_generic_plan
as $$
begin
  return (
    with under_way as materialized (
      select distinct lower(btrim(k.email)) as email, q.contact_id
      from crm_sync.batches as b
      cross join lateral unnest(b.row_ids) as u (id)
      cross join lateral (
        select r.contact_id from public.sync_queue as r
        where r.organization_id = p_organization_id and r.id = u.id and r.batch_id = b.id and r.queue_type = 'contact_sync'
        offset 0
      ) as q
      cross join lateral crm_sync.contact_of(p_organization_id, q.contact_id) as k
      where b.organization_id = p_organization_id and b.integration_id = p_integration_id
    )
    select case
      when not exists (select from under_way) then p_contacts
      else (
        select coalesce(array_agg(c.contact_id order by c.place), '{}')
        from unnest(p_contacts) with ordinality as c (contact_id, place)
        left join lateral crm_sync.contact_of(p_organization_id, c.contact_id) as k on true
        where not exists (select from under_way as w where w.email = lower(btrim(k.email)) and w.contact_id <> c.contact_id)
      )
    end
  );
end;
$$;
comment on function crm_sync.withhold_shared_addresses(uuid, bigint, uuid[]) is
  'Worker: the contacts without those whose e-mail address another contact has in a batch that is under way.';
