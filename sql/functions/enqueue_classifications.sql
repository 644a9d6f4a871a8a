-- Runs inside the producers' transactions: no lock on anybody's rows, nothing that can fail on content. The planner is
-- held to index lookups, because a plan that was cached while the host's tables were small would scan them when they are
-- not; and plans are kept, because nearly every statement brings one row, and planning costs ten times what that row does.
create or replace function crm_sync.enqueue_classifications(p_classification_ids uuid[]) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_enqueued record;
begin
  with enqueued as (
    insert into public.sync_queue (
      organization_id, integration_id, contact_id, message_id, classification_id, queue_type, priority,
      status, next_attempt_at, scheduled_at, last_error, completed_at
    )
    select
      m.organization_id, i.id, m.contact_id, m.id, c.id, 'contact_sync', crm_sync.queue_priority(c.intent::text, c.priority::text),
      case when r.reason is null then 'pending' else 'skipped' end,
      case when r.reason is null then s.slot end,
      coalesce(s.slot, now()),
      r.reason,
      case when r.reason is not null then now() end
    from unnest(p_classification_ids) with ordinality as u (id, position)
    join public.message_classifications as c on c.id = u.id
    join public.inbox_messages as m on m.id = c.message_id and m.organization_id is not null
    left join (
      public.user_integrations as i
      join public.integration_providers as p on p.id = i.provider_id and p.is_active
    ) on i.organization_id = m.organization_id and i.status <> 'disconnected'
    cross join lateral (
      -- what few connections have is in functions of its own: each part of this statement is paid for by every insert
      select case when i.sync_frequency <> 'realtime'
        then crm_sync.queue_slot(i.sync_frequency, i.sync_settings, m.organization_id, c.intent::text)
      end as slot
    ) as s
    cross join lateral (
      select case
        when i.id is null then 'the organization has no connected CRM'
        when m.contact_id is null then 'the message belongs to no contact'
        when i.sync_settings ->> 'auto_sync_contacts' = 'false' then 'auto_sync_contacts is switched off for this connection'
        when i.sync_filters <> '{}' then crm_sync.filter_reason(i.sync_filters, crm_sync.filter_facts(c.id, m.organization_id, m.contact_id))
      end as reason
    ) as r
    order by u.position, i.id
    returning classification_id, status
  )
  select count(distinct e.classification_id) as classifications, bool_or(e.status = 'pending') as has_work into v_enqueued
  from enqueued as e;

  if v_enqueued.classifications < cardinality(p_classification_ids) then
    insert into crm_sync.orphans (classification_id, message_id, reason)
    select c.id, c.message_id, case when exists (select from public.inbox_messages as m where m.id = c.message_id)
      then 'the message belongs to no organization (yet)' else 'the message does not exist (yet)' end
    from unnest(p_classification_ids) as u (id)
    join public.message_classifications as c on c.id = u.id
    where not exists (select from public.inbox_messages as m where m.id = c.message_id and m.organization_id is not null)
    on conflict do nothing;
  end if;

  if v_enqueued.has_work then
    perform crm_sync.ring();
  end if;
end;
$$;
comment on function crm_sync.enqueue_classifications(uuid[]) is 'Trigger: one contact_sync row for each classification and connected CRM, or a skipped row that says why not.';
