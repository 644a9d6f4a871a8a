-- Contacts of ours that share an address are one record of the CRM. While one of them is under way the others wait, or
-- both batches would read that record before either has written it, and the later write would undo the earlier one.
create or replace function crm_sync.withhold_shared_addresses(p_organization_id uuid, p_integration_id bigint, p_row_ids bigint[]) returns bigint[]
language plpgsql stable
set search_path = ''
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
      cross join lateral (
        select c.email from public.contacts as c where c.organization_id = p_organization_id and c.id = q.contact_id offset 0
      ) as k
      where b.organization_id = p_organization_id and b.integration_id = p_integration_id
    )
    select case
      when not exists (select from under_way) then p_row_ids
      else (
        select coalesce(array_agg(u.id order by u.place), '{}')
        from unnest(p_row_ids) with ordinality as u (id, place)
        cross join lateral (
          select r.contact_id from public.sync_queue as r where r.organization_id = p_organization_id and r.id = u.id offset 0
        ) as q
        left join lateral (
          select lower(btrim(c.email)) as email from public.contacts as c
          where c.organization_id = p_organization_id and c.id = q.contact_id
          offset 0
        ) as k on true
        where not exists (select from under_way as w where w.email = k.email and w.contact_id <> q.contact_id)
      )
    end
  );
end;
$$;
comment on function crm_sync.withhold_shared_addresses(uuid, bigint, bigint[]) is 'Worker: the rows without those of contacts whose e-mail address another contact has in a batch that is under way.';
