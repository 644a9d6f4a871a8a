create or replace function crm_sync.record_contacts(p_batch crm_sync.batches, p_outcomes jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = auto -- the plans of foreign keys' checks are made in here: not for good with the first row
as $$
declare
  v_new bigint;
begin
  -- companies that the CRM confirmed along with their contacts
  insert into crm_sync.effects as e (organization_id, integration_id, object_type, key, external_id, confirmed_at)
  select distinct on (o.echo ->> 'company_key')
    p_batch.organization_id, p_batch.integration_id, 'company', o.echo ->> 'company_key', o.company_external_id, now()
  from jsonb_to_recordset(p_outcomes) as o (status text, echo jsonb, company_external_id text)
  where o.status = 'synced' and o.company_external_id is not null and o.echo ->> 'company_key' is not null
  order by o.echo ->> 'company_key'
  on conflict (organization_id, integration_id, object_type, key)
  do update set external_id = excluded.external_id, confirmed_at = excluded.confirmed_at
  where e.external_id is distinct from excluded.external_id;

  with outcomes as materialized (
    select p_batch.organization_id as organization_id, p_batch.integration_id as integration_id, o.*
    from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, external_id text, company_external_id text, echo jsonb, failure jsonb)
    where o.status = 'synced' or (o.status = 'failed' and o.failure ->> 'kind' in ('rejected', 'bug', 'contended'))
  ),
  settled as materialized (
    select o.organization_id, o.integration_id, q.contact_id, q.message_id as asked_by, o.external_id, o.company_external_id, o.echo, o.status, o.failure,
      case when o.status = 'synced' then first_value(q.contact_id) over (partition by o.external_id order by q.id) end as first_contact_id
    from outcomes as o
    cross join lateral crm_sync.row_of(o.organization_id, (o.rows ->> -1)::bigint) as q
    where q.queue_type = 'contact_sync'
  ),
  judged as materialized (
    select s.*, g.id as message_id, coalesce(h.contact_id, nullif(s.first_contact_id, s.contact_id)) as owner_id,
      s.status = 'synced' and b.last_synced_at is null as is_new
    from settled as s
    cross join lateral crm_sync.contact_of(s.organization_id, s.contact_id) as k
    left join lateral crm_sync.message_of(s.organization_id, s.asked_by) as g on true -- it may be gone by now
    left join lateral crm_sync.mapping_of(s.organization_id, s.integration_id, s.contact_id) as b on true
    -- one record of the CRM belongs to one contact of ours: the one that had it, else the first of this batch
    left join lateral (
      select m.contact_id from public.contact_sync_mappings as m
      where m.external_contact_id = s.external_id -- as in contact_of
        and (m.integration_id = s.integration_id) is true and (m.organization_id = s.organization_id) is true and m.contact_id <> s.contact_id
      limit 1
    ) as h on true
  ),
  recorded as (
    insert into public.contact_sync_mappings as m (
      organization_id, integration_id, contact_id, message_id, external_contact_id, external_company_id, sync_status, last_synced_at, sync_data, conflict_data
    )
    select
      p_batch.organization_id, p_batch.integration_id, j.contact_id, j.message_id,
      case when j.status = 'synced' and j.owner_id is null then j.external_id end,
      case when j.status = 'synced' then j.company_external_id end,
      case when j.status <> 'synced' then 'error' when j.owner_id is not null then 'conflict' else 'synced' end,
      case when j.status = 'synced' then now() end,
      case when j.status = 'synced' then coalesce(j.echo, '{}') - 'company_key' else '{}' end,
      case when j.owner_id is not null then jsonb_build_object('external_contact_id', j.external_id, 'owner_contact_id', j.owner_id,
        'reason', 'another contact of ours has this e-mail address and owns the record in the CRM') end
    from judged as j
    order by j.contact_id
    on conflict (organization_id, integration_id, contact_id) do update
    set message_id = coalesce(excluded.message_id, m.message_id),
      sync_status = excluded.sync_status,
      external_contact_id = case when excluded.sync_status = 'error' then m.external_contact_id else excluded.external_contact_id end,
      external_company_id = coalesce(excluded.external_company_id, m.external_company_id),
      last_synced_at = coalesce(excluded.last_synced_at, m.last_synced_at),
      sync_data = case when excluded.sync_status = 'error' then m.sync_data else excluded.sync_data end,
      conflict_data = case when excluded.sync_status = 'error' then m.conflict_data else excluded.conflict_data end
  )
  select count(*) into v_new from judged as j where j.is_new;
  -- counted here: to count the mappings themselves takes as long as there are contacts
  if v_new > 0 then
    update crm_sync.lanes as l set synced_contacts = l.synced_contacts + v_new
    where l.organization_id = p_batch.organization_id and l.integration_id = p_batch.integration_id;
  end if;

  perform crm_sync.enqueue_follow_ups(p_batch, p_outcomes);
end;
$$;
comment on function crm_sync.record_contacts(crm_sync.batches, jsonb) is 'Worker: maps the contacts and companies that the CRM confirmed, and enqueues what the rules ask for next.';
