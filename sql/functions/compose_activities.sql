create or replace function crm_sync.compose_activities(p_organization_id uuid, p_integration_id bigint, p_row_ids bigint[])
returns table (contact_id uuid, document jsonb)
language sql stable
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  with claimed as materialized (
    select p_organization_id as organization_id, p_integration_id as integration_id, u.id from unnest(p_row_ids) as u (id)
  ),
  newest as materialized (
    select distinct on (q.message_id) q.*, array_agg(q.id) over w as row_ids, bool_or(q.uncertain) over w as is_uncertain,
      min(q.created_at) over w as queued_at
    from claimed as u
    join public.sync_queue as q on q.organization_id = u.organization_id and q.id = u.id and q.queue_type = 'activity_sync' and q.payload ->> 'key' like 'message:%'
    window w as (partition by q.message_id order by q.id rows between unbounded preceding and unbounded following)
    order by q.message_id, q.id desc
  )
  select n.contact_id, jsonb_strip_nulls(jsonb_build_object(
    'rows', n.row_ids, 'contact_id', n.contact_id, 'uncertain', n.is_uncertain, 'queued_at', n.queued_at, 'key', a.key, 'external_id', a.external_id,
    'contact_external_id', coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id'),
    'company_external_id', m.external_company_id,
    'occurred_at', to_jsonb(g.received_at), 'subject', left(coalesce(g.subject, ''), 500),
    'body', left(coalesce(g.body, ''), 60000), -- no CRM takes more; a longer one is cut where it is composed, not carried
    'intent', c.intent, 'sentiment', c.sentiment, 'priority', c.priority, 'next_action', c.next_action, 'confidence', c.confidence,
    'requires_human_attention', coalesce(c.requires_human_attention, false),
    'echo', jsonb_build_object('key', a.key)
  ))
  from newest as n
  cross join lateral (
    select m.external_contact_id, m.external_company_id, m.conflict_data from public.contact_sync_mappings as m
    where m.organization_id = n.organization_id and m.integration_id = n.integration_id and m.contact_id = n.contact_id
    offset 0 -- here and below: each by its whole key, whatever the statistics say
  ) as m
  cross join lateral (
    select e.key, e.external_id from crm_sync.effects as e
    where e.organization_id = n.organization_id and e.integration_id = n.integration_id and e.object_type = 'activity' and e.key = n.payload ->> 'key'
    offset 0
  ) as a
  cross join lateral (
    select g.received_at, g.subject, g.body from public.inbox_messages as g where g.organization_id = n.organization_id and g.id = n.message_id
    offset 0
  ) as g
  left join public.message_classifications as c on c.id = n.classification_id
$$;
comment on function crm_sync.compose_activities(uuid, bigint, bigint[]) is 'Worker: what the claimed activity_sync rows mean now, one document for each message.';
