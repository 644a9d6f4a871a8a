create or replace function crm_sync.compose_contacts(p_organization_id uuid, p_integration_id bigint, p_rows public.sync_queue[]) returns json
language plpgsql stable strict
set search_path = pg_catalog, pg_temp
as $$
declare
  v record;
begin
  select i.sync_settings ->> 'lead_source' as lead_source, o.object, crm_sync.mapping_rules(i.organization_id, i.id, o.object) as rules,
    crm_sync.mapping_rules(i.organization_id, i.id, 'company') as company_rules
  into v
  from public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id
  cross join lateral (
    select case when i.sync_settings ->> 'contact_object' = 'lead' and p.config -> 'field_mappings' ? 'lead' then 'lead' else 'contact' end as object
  ) as o
  where i.organization_id = p_organization_id and i.id = p_integration_id;

  return (
    with signals as materialized (
      select q.id, q.contact_id, q.uncertain, q.created_at, r.contact_status,
        c.intent, c.sentiment, c.priority, c.confidence, c.requires_human_attention, c.next_action
      from unnest(p_rows) as q
      left join lateral crm_sync.classification_of(q.classification_id) as c on true
      left join lateral crm_sync.intent_rule(p_organization_id, c.intent::text) as r on true
    ),
    newest as materialized (
      select distinct on (s.contact_id) s.*,
        array_agg(s.id) over w as row_ids, bool_or(s.uncertain) over w as is_uncertain, min(s.created_at) over w as queued_at,
        array_agg(s.contact_status) over w as statuses
      from signals as s
      window w as (partition by s.contact_id order by s.id rows between unbounded preceding and unbounded following)
      order by s.contact_id, s.id desc
    )
    select json_strip_nulls(json_agg(json_build_object(
      'rows', n.row_ids, 'contact_id', n.contact_id, 'uncertain', n.is_uncertain, 'queued_at', n.queued_at,
      'record', v.object, 'email', e.email,
      'external_id', coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id'),
      'linked_company_id', m.external_company_id,
      'unchanged', f.sent_fields = m.sync_data -> 'fields' and m.sync_status = 'synced',
      'fields', f.fields,
      'company', case when o.name <> '' then json_build_object('key', o.key, 'name', o.name, 'external_id', co.external_id, 'fields', case when co.external_id is null then (
        select cf.sent_fields from crm_sync.compose_fields(v.company_rules, b.facts || jsonb_build_object('company', o.name), null) as cf
      ) end) end,
      'echo', json_build_object('status', st.status, 'status_row', st.position, 'fields', f.sent_fields, 'company_key', o.key)
    )))
    from newest as n
    cross join lateral crm_sync.contact_of(p_organization_id, n.contact_id) as k
    left join lateral crm_sync.mapping_of(p_organization_id, p_integration_id, n.contact_id) as m on true
    cross join lateral (select lower(btrim(k.email)) as email) as e
    cross join lateral (
      select left(regexp_replace(n.name, '\s+', ' ', 'g'), 250) as name, case when n.name <> '' then crm_sync.company_key(n.name) end as key
      from (select crm_sync.trim_blanks(k.company) as name) as n
      offset 0 -- here and below: worked out once, not at each mention
    ) as o
    cross join lateral (
      -- CRMs that will not have a contact without a name get what is left of the @
      select coalesce(nullif(crm_sync.trim_blanks(k.last_name), ''), split_part(e.email, '@', 1)) as surname,
        coalesce(nullif(crm_sync.trim_blanks(concat_ws(' ', nullif(crm_sync.trim_blanks(k.first_name), ''), crm_sync.trim_blanks(k.last_name))), ''), e.email) as full_name
    ) as h
    cross join lateral (
      -- what was last sent, and each claimed classification: never to a lower rank, and of equals the one that was said last
      select coalesce(w.status, 'new') as status, w.position
      from (select) as one
      left join lateral (
        select s.status, s.position
        from (
          select m.sync_data ->> 'status' as status, coalesce((m.sync_data ->> 'status_row')::bigint, 0) as position
          union all
          select c.status, c.row_id from unnest(n.statuses, n.row_ids) as c (status, row_id)
        ) as s
        where s.status is not null
        order by crm_sync.status_rank(s.status) desc, s.position desc
        limit 1
      ) as w on true
    ) as st
    cross join lateral (select to_jsonb(k) as facts offset 0) as b
    cross join lateral crm_sync.compose_fields(v.rules, b.facts || jsonb_build_object(
      'email', e.email, 'status', st.status, 'lead_source', v.lead_source,
      'full_name', h.full_name, 'surname', h.surname, 'company_or_none', coalesce(nullif(o.name, ''), '[not provided]'),
      'intent', n.intent, 'sentiment', n.sentiment, 'classification_priority', n.priority, 'confidence', n.confidence,
      'requires_human_attention', n.requires_human_attention, 'next_action', n.next_action
    ), m.sync_data -> 'fields') as f
    left join lateral (
      select e.external_id from crm_sync.effects as e
      where e.organization_id = p_organization_id and e.integration_id = p_integration_id and e.object_type = 'company' and e.key = o.key
      offset 0
    ) as co on true
  );
end;
$$;
comment on function crm_sync.compose_contacts(uuid, bigint, public.sync_queue[]) is 'Worker: what the claimed contact_sync rows mean now, one document for each contact.';
