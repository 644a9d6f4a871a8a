create or replace function crm_sync.believed(p_contact_id uuid, p_at timestamptz)
returns table (
  organization_id uuid, integration_id bigint, provider text, connection text, object text, external_id text, company_external_id text,
  fields jsonb, sent_at timestamptz, message_id uuid, remark text, source text, record_url text
)
language plpgsql stable strict
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_organization_id uuid := (select k.organization_id from public.contacts as k where k.id = p_contact_id and crm_sync.caller_may_see(k.organization_id) limit 1);
begin
  return query
  with entries as materialized (
    -- of very many the newest
    select a.integration_id, a.activity_type, a.external_id, a.request_data, a.response_data, a.status, a.description, a.message_id, a.created_at, a.id,
      case when a.activity_type = 'sync_contact' then 'contact' when a.activity_type = 'sync_deal' then 'deal' when starts_with(a.title, 'Task') then 'task' else 'activity' end as object
    from public.sync_activity_logs as a
    where a.organization_id = v_organization_id and a.contact_id = p_contact_id and (a.created_at <= p_at) is true -- by the contact, whatever the statistics say
      and a.activity_type in ('sync_contact', 'sync_deal', 'sync_activity') and a.external_id is not null
    order by a.created_at desc, a.id desc
    limit 2000
  ),
  known as (
    select e.integration_id, e.object, e.external_id, e.response_data ->> 'company_id' as company_id, e.request_data as fields, e.created_at as sent_at, e.message_id,
      case when e.status = 'warning' then e.description end as remark, 'log' as source
    from (
      select distinct on (e.integration_id, e.object, case when e.object <> 'contact' then e.external_id end) e.*
      from entries as e
      order by e.integration_id, e.object, case when e.object <> 'contact' then e.external_id end, e.created_at desc, e.id desc
    ) as e
    union all
    -- older than the log: what has not been sent again since
    select m.integration_id, 'contact', coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id'), m.external_company_id,
      m.sync_data -> 'fields', m.last_synced_at, m.message_id, m.conflict_data ->> 'reason', 'mapping'
    from public.user_integrations as i
    cross join lateral crm_sync.mapping_of(v_organization_id, i.id, p_contact_id) as m
    where i.organization_id = v_organization_id and m.last_synced_at <= p_at
      and not exists (select from entries as e where e.integration_id = i.id and e.object = 'contact')
  )
  select v_organization_id, k.integration_id, p.name, i.name, k.object, k.external_id, k.company_id, k.fields, k.sent_at, k.message_id, k.remark, k.source,
    crm_sync.record_url(k.integration_id, k.object, k.external_id)
  from known as k
  join public.user_integrations as i on i.organization_id = v_organization_id and i.id = k.integration_id
  join public.integration_providers as p on p.id = i.provider_id
  order by k.integration_id, array_position(array['contact', 'deal', 'task', 'activity'], k.object), k.sent_at desc
  limit 500;
end;
$$;
comment on function crm_sync.believed(uuid, timestamptz) is
  'Reader: what we had last sent of a contact at a time, and believed to be in the CRMs: for each connection and object its fields and ids; of notes and tasks the ids, as the log keeps no text.';
