create or replace function crm_sync.compose_tasks(
  p_organization_id uuid, p_integration_id bigint, p_rows public.sync_queue[], p_meant crm_sync.effects[] default '{}'
) returns json
language plpgsql stable strict
set search_path = pg_catalog, pg_temp
as $$
declare
  v_due_days integer := (
    select coalesce((i.sync_settings ->> 'task_due_days')::integer, 1)
    from public.user_integrations as i
    where i.organization_id = p_organization_id and i.id = p_integration_id
  );
begin
  return (
    with queued as materialized (
      select distinct on (q.message_id) q.*, array_agg(q.id) over w as row_ids, bool_or(q.uncertain) over w as is_uncertain,
        min(q.created_at) over w as queued_at
      from unnest(p_rows) as q
      window w as (partition by q.message_id order by q.id rows between unbounded preceding and unbounded following)
      order by q.message_id, q.id
    )
    select json_strip_nulls(json_agg(json_build_object(
      'rows', n.row_ids, 'contact_id', n.contact_id, 'uncertain', n.is_uncertain, 'queued_at', n.queued_at, 'key', a.key, 'external_id', a.external_id,
      'contact_external_id', coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id'),
      'company_external_id', m.external_company_id,
      'due_at', a.created_at + make_interval(days => v_due_days),
      'subject', left('Reply to ' || w.name || coalesce(': ' || nullif(regexp_replace(crm_sync.trim_blanks(left(g.subject, 1000)), '\s+', ' ', 'g'), ''), ''), 250),
      'body', left(concat_ws(e'\n',
        'The reply of ' || w.name || ' needs a person.',
        'Intent: ' || replace(c.intent::text, '_', ' '),
        'Sentiment: ' || replace(c.sentiment::text, '_', ' '),
        'Priority: ' || replace(c.priority::text, '_', ' '),
        'Next action: ' || replace(c.next_action::text, '_', ' '),
        e'\n' || left(btrim(g.body), 2000)
      ), 4000),
      'is_urgent', coalesce(lower(btrim(c.priority::text)) in ('urgent', 'critical', 'high'), false),
      'echo', json_build_object('key', a.key)
    )))
    from queued as n
    left join lateral crm_sync.mapping_of(p_organization_id, p_integration_id, n.contact_id) as m on true
    cross join lateral (
      (
        select e.key, e.external_id, e.created_at from crm_sync.effects as e
        where e.organization_id = p_organization_id and e.integration_id = p_integration_id and e.object_type = 'task' and e.key = n.payload ->> 'key'
        offset 0 -- by its whole key, whatever the statistics say
      )
      union all
      select e.key, e.external_id, e.created_at from unnest(p_meant) as e where cardinality(p_meant) > 0 and e.key = n.payload ->> 'key'
    ) as a
    cross join lateral crm_sync.contact_of(p_organization_id, n.contact_id) as k
    cross join lateral crm_sync.message_of(p_organization_id, n.message_id) as g
    left join lateral crm_sync.classification_of(n.classification_id) as c on true
    cross join lateral (
      select left(regexp_replace(coalesce(
        nullif(crm_sync.trim_blanks(concat_ws(' ', nullif(crm_sync.trim_blanks(k.first_name), ''), crm_sync.trim_blanks(k.last_name))), ''), lower(btrim(k.email))
      ), '\s+', ' ', 'g'), 150) as name
    ) as w
    where m.id is not null or cardinality(p_meant) > 0
  );
end;
$$;
comment on function crm_sync.compose_tasks(uuid, bigint, public.sync_queue[], crm_sync.effects[]) is 'Worker: what the claimed rows want a person to do, one document for each message.';
