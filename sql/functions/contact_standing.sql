create or replace function crm_sync.contact_standing(p_contact_ids uuid[])
returns table (
  contact_id uuid, organization_id uuid, integration_id bigint, state text, reason text,
  external_contact_id text, external_company_id text, external_deal_id text, last_synced_at timestamptz, next_attempt_at timestamptz
)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  select k.id, k.organization_id, i.id, v.state,
    case
      when v.state in ('failed', 'skipped') then s.last_error
      when h.kind is not null then h.reason
      when v.state = 'retrying' then o.last_error
      when v.state = 'waiting' and o.next_attempt_at > now() then 'this connection works ' || i.sync_frequency
      when v.state <> 'absent' then null
      when i.status = 'disconnected' then 'the CRM is disconnected'
      when coalesce(btrim(k.email), '') = '' then 'the contact has no e-mail address, by which a CRM would know it'
      when not exists (
        select from public.inbox_messages as m join public.message_classifications as c on c.message_id = m.id
        where m.organization_id = k.organization_id and m.contact_id = k.id
      ) then 'no reply of this contact has been classified'
      else 'its replies came before this CRM was connected: sync it now'
    end,
    m.external_contact_id, m.external_company_id, m.external_deal_id, m.last_synced_at,
    case when o.open > 0 then greatest(o.next_attempt_at, now()) end
  from (select distinct u.id from unnest(p_contact_ids[1:200]) as u (id)) as u
  cross join lateral (
    select k.* from public.contacts as k
    where k.id = u.id and crm_sync.caller_may_see(k.organization_id)
    limit 1
  ) as k
  join public.user_integrations as i on i.organization_id = k.organization_id
  left join lateral crm_sync.mapping_of(k.organization_id, i.id, k.id) as m on true
  cross join lateral (
    select count(*) as open, bool_or(q.status = 'processing') as is_running, bool_or(q.status = 'retry') as is_retrying,
      min(q.next_attempt_at) as next_attempt_at, max(q.last_error) as last_error
    from (
      -- of very many the first, which are those that run or are tried again
      select q.* from public.sync_queue as q
      where q.integration_id = i.id and q.contact_id = k.id and q.completed_at is null
      order by q.id
      limit 1000
    ) as q
  ) as o
  left join lateral (
    select q.status, q.last_error
    from (
      select q.id, q.status, q.last_error, q.integration_id from public.sync_queue as q
      where q.contact_id = k.id and q.completed_at is not null and q.last_error is not null
      limit 3000
    ) as q
    where q.integration_id = i.id
    order by q.status = 'failed' desc, q.id desc
    limit 1
  ) as s on true
  cross join lateral (
    select case
      when o.is_running then 'running'
      when o.is_retrying then 'retrying'
      when o.open > 0 then 'waiting'
      when s.status = 'failed' then 'failed'
      when m.sync_status = 'synced' then 'synced'
      when s.status = 'skipped' then 'skipped'
      when m.sync_status in ('error', 'conflict') then m.sync_status
      else 'absent'
    end as state
  ) as v
  left join lateral crm_sync.standstill(k.organization_id, i.id) as h on v.state in ('waiting', 'retrying')
  where i.status <> 'disconnected' or m.id is not null or o.open > 0;
end;
$$;
comment on function crm_sync.contact_standing(uuid[]) is
  'Reader: where contacts that the caller may see stand in each of their CRMs, and why they are not there; by keys alone, 200 at most.';
