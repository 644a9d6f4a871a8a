create or replace function crm_sync.backfill(
  p_integration_id bigint, p_filter jsonb default '{}', p_limit integer default 10000, p_after uuid default null
)
returns table (enqueued bigint, skipped bigint, last_contact_id uuid, is_complete boolean)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_bitmapscan = off
set jit = off
set lock_timeout = '5s' -- anybody with a session could hold the advisory lock below
as $$
declare
  v_integration public.user_integrations := crm_sync.require_integration(p_integration_id);
  v_problem text := crm_sync.filters_problem(coalesce(p_filter, 'null'));
  v_payload jsonb := jsonb_build_object('requested_by', crm_sync.caller_name());
  v_page record;
begin
  v_problem := coalesce(v_problem, crm_sync.filter_fault(p_filter));
  if v_problem is not null then
    raise exception using errcode = 'CS057', message = 'the filter: ' || v_problem, hint = 'It is written as a connection''s sync_filters are; {} takes every contact.';
  elsif p_limit is null or p_limit not between 1 and 100000 then
    raise exception using errcode = 'CS057', message = format('a page has 1 to 100000 contacts, not %s', coalesce(p_limit::text, 'null')),
      hint = 'Go on with p_after => last_contact_id until is_complete.';
  elsif v_integration.status = 'disconnected' then
    raise exception using errcode = 'CS057', message = format('connection %s is disconnected', p_integration_id), hint = 'Connect it first.';
  end if;
  -- two that look at the same contacts at once would enqueue each twice
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('crm_sync.backfill', p_integration_id));
  perform pg_catalog.pg_current_xact_id(); -- before ids are given out: see mark_lane
  with page as materialized (
    select k.id from public.contacts as k
    where k.organization_id = v_integration.organization_id and k.id > coalesce(p_after, '00000000-0000-0000-0000-000000000000')
    order by k.id
    limit p_limit
  ),
  judged as materialized (
    select p.id, n.message_id, n.classification_id, n.intent,
      n.classification_id is not null
      and btrim(k.email) <> '' and m.id is null and w.is_waiting is null
      and not exists (
        select from crm_sync.erasures as e where e.organization_id = v_integration.organization_id and e.contact_id = p.id and e.lifted_at is null
      ) as is_candidate
    from page as p
    cross join lateral crm_sync.contact_of(v_integration.organization_id, p.id) as k
    left join lateral crm_sync.newest_classification(v_integration.organization_id, p.id) as n on true
    left join lateral crm_sync.mapping_of(v_integration.organization_id, p_integration_id, p.id) as m on true
    left join lateral (
      select true as is_waiting from public.sync_queue as q
      where q.integration_id = p_integration_id and q.contact_id = p.id and q.completed_at is null and q.queue_type = 'contact_sync'
      limit 1 -- looked up for each contact: all that waits may be a million rows
    ) as w on true
  ),
  chosen as materialized (
    select j.*
    from judged as j
    left join lateral (
      select crm_sync.filter_facts(j.classification_id, v_integration.organization_id, j.id) as facts
      where p_filter <> '{}' or v_integration.sync_filters <> '{}'
    ) as f on true
    where j.is_candidate
      and (p_filter = '{}' or crm_sync.filter_reason(p_filter, f.facts) is null)
      and (v_integration.sync_filters = '{}' or crm_sync.filter_reason(v_integration.sync_filters, f.facts) is null)
  ),
  made as (
    insert into public.sync_queue (
      organization_id, integration_id, contact_id, message_id, classification_id, queue_type, priority, next_attempt_at, scheduled_at, payload
    )
    select v_integration.organization_id, p_integration_id, c.id, c.message_id, c.classification_id, 'contact_sync', 9,
      s.slot, coalesce(s.slot, now()), v_payload
    from chosen as c
    cross join lateral (
      select case when v_integration.sync_frequency <> 'realtime'
        then crm_sync.queue_slot(v_integration.sync_frequency, v_integration.sync_settings, v_integration.organization_id, c.intent)
      end as slot
    ) as s
    order by c.id
    returning id
  )
  select (select count(*) from page) as seen, (select count(*) from made) as made, (select p.id from page as p order by p.id desc limit 1) as last_id into v_page;
  if v_page.seen > 0 then
    perform crm_sync.end_action(v_integration, 'Backfilled',
      format('%s of %s contact(s) enqueued by %s, up to contact %s', v_page.made, v_page.seen, crm_sync.caller_name(), v_page.last_id));
  end if;
  if v_page.made > 0 then
    perform crm_sync.ring();
  end if;
  return query select v_page.made, v_page.seen - v_page.made, coalesce(v_page.last_id, p_after), v_page.seen < p_limit;
end;
$$;
comment on function crm_sync.backfill(bigint, jsonb, integer, uuid) is
  'Operator: enqueues a page of contacts that were there before the connection, behind all fresh work: those that the CRM does not have yet and whose newest classification meets the filter and the connection''s own; go on with p_after => last_contact_id until is_complete.';
