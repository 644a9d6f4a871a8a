-- The log knows what a mapping knew that went with the contact; but ids from before an account was replaced are of another account.
create or replace function crm_sync.erased_ids(p_organization_id uuid, p_integration_id bigint, p_contact_id uuid)
returns table (contacts text[], deals text[], activities text[], tasks text[], deal_keys text[], is_uncertain boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with logged as materialized (
    select l.activity_type, l.title, l.external_id
    from public.sync_activity_logs as l
    where l.organization_id = p_organization_id and l.contact_id = p_contact_id and l.integration_id = p_integration_id
      and l.status in ('success', 'warning') and l.external_id is not null
      and l.created_at > coalesce((
        select max(a.created_at) from public.sync_activity_logs as a
        where a.organization_id = p_organization_id and a.integration_id = p_integration_id and a.activity_type = 'connection' and a.title = 'Account replaced'
      ), '-infinity')
  ),
  meant as materialized (
    select e.object_type, e.key, e.external_id from crm_sync.effects as e
    where e.organization_id = p_organization_id and e.integration_id = p_integration_id and e.contact_id = p_contact_id
  ),
  mapped as materialized (
    select m.* from public.contact_sync_mappings as m
    where m.contact_id = p_contact_id and (m.integration_id = p_integration_id) is true and (m.organization_id = p_organization_id) is true -- as in contact_of
  ),
  ids as (
    select 'contact' as object, m.external_contact_id as id from mapped as m
    union
    select 'contact', m.conflict_data ->> 'external_contact_id' from mapped as m
    union
    select 'deal', m.external_deal_id from mapped as m
    union
    select e.object_type, e.external_id from meant as e
    union
    select case l.activity_type when 'sync_contact' then 'contact' when 'sync_deal' then 'deal' else case when l.title like 'Task%' then 'task' else 'activity' end end,
      l.external_id
    from logged as l
    where not exists (select from mapped) or l.activity_type <> 'sync_contact'
  )
  select
    coalesce(array_agg(i.id order by i.id) filter (where i.object = 'contact' and i.id <> ''), '{}'),
    coalesce(array_agg(i.id order by i.id) filter (where i.object = 'deal' and i.id <> ''), '{}'),
    coalesce(array_agg(i.id order by i.id) filter (where i.object = 'activity' and i.id <> ''), '{}'),
    coalesce(array_agg(i.id order by i.id) filter (where i.object = 'task' and i.id <> ''), '{}'),
    array(select e.key from meant as e where e.object_type = 'deal' and e.external_id is null order by e.key),
    exists (select from meant as e where e.external_id is null)
    or exists (
      select from public.sync_queue as q
      where q.integration_id = p_integration_id and q.contact_id = p_contact_id and q.completed_at is null and q.queue_type <> 'contact_erasure' and (q.uncertain or q.batch_id is not null)
    )
  from ids as i
$$;
comment on function crm_sync.erased_ids(uuid, bigint, uuid) is
  'Operator: the CRM''s ids of all that a connection has made for a contact, and whether there may be more that nobody has confirmed.';
