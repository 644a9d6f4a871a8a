create or replace function crm_sync.compose_activities(
  p_organization_id uuid, p_integration_id bigint, p_rows public.sync_queue[], p_meant crm_sync.effects[] default '{}'
) returns json
language plpgsql stable strict
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    with newest as materialized (
      select distinct on (q.message_id) q.*, array_agg(q.id) over w as row_ids, bool_or(q.uncertain) over w as is_uncertain,
        min(q.created_at) over w as queued_at
      from unnest(p_rows) as q
      window w as (partition by q.message_id order by q.id rows between unbounded preceding and unbounded following)
      order by q.message_id, q.id desc
    )
    select json_strip_nulls(json_agg(json_build_object(
      'rows', n.row_ids, 'contact_id', n.contact_id, 'uncertain', n.is_uncertain, 'queued_at', n.queued_at, 'key', a.key, 'external_id', a.external_id,
      'contact_external_id', coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id'),
      'company_external_id', m.external_company_id,
      'occurred_at', g.received_at, 'subject', left(coalesce(g.subject, ''), 500),
      'body', left(coalesce(g.body, ''), 60000), -- no CRM takes more; a longer one is cut where it is composed, not carried
      'intent', c.intent, 'sentiment', c.sentiment, 'priority', c.priority, 'next_action', c.next_action, 'confidence', c.confidence,
      'requires_human_attention', coalesce(c.requires_human_attention, false),
      'echo', json_build_object('key', a.key)
    )))
    from newest as n
    left join lateral crm_sync.mapping_of(p_organization_id, p_integration_id, n.contact_id) as m on true
    cross join lateral (
      (
        select e.key, e.external_id from crm_sync.effects as e
        where e.organization_id = p_organization_id and e.integration_id = p_integration_id and e.object_type = 'activity' and e.key = n.payload ->> 'key'
        offset 0 -- by its whole key, whatever the statistics say
      )
      union all
      select e.key, e.external_id from unnest(p_meant) as e where cardinality(p_meant) > 0 and e.key = n.payload ->> 'key'
    ) as a
    cross join lateral crm_sync.message_of(p_organization_id, n.message_id) as g
    left join lateral crm_sync.classification_of(n.classification_id) as c on true
    where m.id is not null or cardinality(p_meant) > 0
  );
end;
$$;
comment on function crm_sync.compose_activities(uuid, bigint, public.sync_queue[], crm_sync.effects[]) is
  'Worker: what the claimed rows mean now that put messages on the timeline, one document for each message.';
