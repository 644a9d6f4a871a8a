-- The rows that wait for the contact, and where none would send the contact itself, the row that a sync by hand would put in;
-- then what these would ask for once the contact is there. All in memory, and composed by the functions of the real way.
create or replace function crm_sync.plan(p_contact_id uuid, p_integration_id bigint)
returns table (object text, key text, field text, our_field text, value jsonb, last_sent jsonb, change text, reason text)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_connection record;
  v_contact record;
  v_fault text;
  v_rows public.sync_queue[];
  v record;
  v_asked public.sync_queue[];
  v_meant crm_sync.effects[];
  v_there text[];
  v_documents jsonb;
  v_document jsonb;
  v_mapping public.contact_sync_mappings;
  v_more integer;
  v_is_cut boolean;
begin
  select i.organization_id, i.sync_settings, i.field_mappings, p.config, p.display_name,
    case when i.sync_settings ->> 'contact_object' = 'lead' and p.config -> 'field_mappings' ? 'lead' then 'lead' else 'contact' end as record
  into v_connection
  from public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id
  where i.id = p_integration_id;
  if v_connection.organization_id is null or crm_sync.caller_may_see(v_connection.organization_id) is not true then
    return;
  end if;
  select k.id, k.email::text as email, to_jsonb(k) as facts into v_contact from crm_sync.contact_of(v_connection.organization_id, p_contact_id) as k;
  if v_contact.id is null then
    return;
  end if;
  v_fault := crm_sync.address_fault(v_contact.email);
  if v_fault is not null then
    return query select v_connection.record, null::text, null::text, null::text, null::jsonb, null::jsonb, 'kept out', v_fault || ': nothing of it is sent';
    return;
  end if;

  if exists (
    select from crm_sync.erasures as e where e.organization_id = v_connection.organization_id and e.contact_id = p_contact_id and e.lifted_at is null
  ) then
    return query select v_connection.record, null::text, null::text, null::text, null::jsonb, null::jsonb, 'kept out', 'this person was erased: nothing of it is sent';
    return;
  end if;

  -- as many as one claim takes, and of very many the first
  v_rows := array(
    select q from public.sync_queue as q
    where q.integration_id = p_integration_id and q.contact_id = p_contact_id and q.completed_at is null
    order by q.id
    limit crm_sync.whole_number(v_connection.config -> 'batch_rows', 1, 201)
  );
  v_is_cut := cardinality(v_rows) > 200;
  v_rows := v_rows[:200];
  if not exists (select from unnest(v_rows) as q where q.queue_type = 'contact_sync') then
    v_rows := v_rows || (
      select crm_sync.imagined_row(v_connection.organization_id, p_integration_id, p_contact_id, n.message_id, n.classification_id, 'contact_sync', null, 0)
      from (select) as one
      left join lateral crm_sync.newest_classification(v_connection.organization_id, p_contact_id) as n on true
    );
  end if;
  select * into v_mapping from crm_sync.mapping_of(v_connection.organization_id, p_integration_id, p_contact_id);

  -- what follows: see enqueue_follow_ups
  select array_agg(crm_sync.imagined_row(v_connection.organization_id, p_integration_id, p_contact_id, w.message_id, w.classification_id, w.queue_type, w.key, w.place))
  into v_asked
  from (
    select f.*, row_number() over (order by f.id, f.step) as place
    from (
      select distinct on (s.queue_type, s.key) s.*
      from (
        select q.id, q.message_id, q.classification_id, o.*
        from unnest(v_rows) as q
        cross join lateral crm_sync.follow_ups_of(q.organization_id, q.message_id, q.classification_id) as f
        cross join lateral (values
          (1, 'deal_sync', 'deal:' || q.contact_id || ':' || f.rule, v_connection.sync_settings ->> 'auto_create_deals' = 'true' and f.create_deal),
          (2, 'activity_sync', 'message:' || q.message_id, v_connection.sync_settings ->> 'log_activities' = 'true'),
          (3, 'activity_sync', 'task:' || q.message_id, v_connection.sync_settings ->> 'attention_tasks' = 'true' and f.needs_person)
        ) as o (step, queue_type, key, is_wanted)
        where q.queue_type = 'contact_sync' and not q.payload ? 'because' and o.is_wanted
      ) as s
      order by s.queue_type, s.key, s.id * case s.step when 1 then 1 else -1 end
    ) as f
  ) as w;
  v_asked := coalesce(v_asked, '{}');
  -- of these, what is there already
  v_there := '{}';
  v_meant := '{}';
  if cardinality(v_asked) > 0 then
    v_there := array(
      select e.key
      from unnest(v_asked) as q
      cross join lateral (
        select e.key from crm_sync.effects as e
        where e.organization_id = v_connection.organization_id and e.integration_id = p_integration_id
          and e.object_type = case split_part(q.payload ->> 'key', ':', 1) when 'deal' then 'deal' when 'task' then 'task' else 'activity' end
          and e.key = q.payload ->> 'key'
        offset 0
      ) as e
    );
    v_meant := array(select crm_sync.meant_effect(q) from unnest(v_asked) as q where q.payload ->> 'key' <> all (v_there));
    -- a message is written again, a deal or a task that is there is left to the people who work with it
    v_rows := v_rows || array(
      select q from unnest(v_asked) as q where q.payload ->> 'key' <> all (v_there) or q.payload ->> 'key' like 'message:%'
    );
  end if;
  select array_agg(q) filter (where q.queue_type = 'contact_sync') as contacts, array_agg(q) filter (where q.queue_type = 'deal_sync') as deals,
    array_agg(q) filter (where q.payload ->> 'key' like 'message:%') as messages, array_agg(q) filter (where q.payload ->> 'key' like 'task:%') as tasks
  into v
  from unnest(v_rows) as q;

  -- the contact
  v_document := crm_sync.compose_contacts(v_connection.organization_id, p_integration_id,
    coalesce(v.contacts, '{}')) -> 0;
  return query
  select v_document ->> 'record', v_document ->> 'email', r.target, r.rule ->> 'from', to_jsonb(f.value), to_jsonb(s.sent),
    case when f.value is null then 'kept out' when s.sent is null then 'new' when s.sent = f.value then 'same' else 'changed' end,
    case
      when f.value is null and r.target <> all (array(
        select t.target from unnest(crm_sync.mapping_rules(v_connection.organization_id, p_integration_id, v_connection.record)) as t
      )) then format('%s has no such field for us, or it may not be written; a default rule, so it is left out', v_connection.display_name)
      when f.value is null and (r.rule ->> 'from' is null or coalesce(crm_sync.trim_blanks(v_contact.facts ->> (r.rule ->> 'from')), '') = '')
        then 'we have no value for it: blank never replaces anything'
      when f.value is null then 'our value is none of those that the field takes, or the rule has no word for it'
      when (v_document ->> 'unchanged')::boolean then 'nothing has changed since it was last sent: what people set in the CRM stays'
      when f.policy = 'if_blank' then 'written only where the CRM holds nothing: its word is the last'
      when f.policy = 'forward_only' then 'written unless the CRM holds a later rank, or one of nobody''s: its word is the last'
      when s.sent is null then 'replaces what the CRM holds'
      when s.sent = f.value then 'written again where the CRM holds something else'
      else 'ours has changed since it was last sent: it replaces what the CRM holds'
    end
  from (
    select distinct on (c.rule ->> 'to') c.rule, c.rule ->> 'to' as target, c.place
    from (
      -- not with ordinality: it would be planned at each call
      select c.rule, row_number() over () as place
      from crm_sync.chosen_rules(coalesce(v_connection.config -> 'field_mappings' -> v_connection.record, '[]'),
        coalesce(v_connection.field_mappings -> v_connection.record, '[]')) as c
    ) as c
    order by c.rule ->> 'to', c.place desc
  ) as r
  cross join lateral (
    select v_document -> 'fields' -> r.target ->> 'value' as value, v_document -> 'fields' -> r.target ->> 'policy' as policy
  ) as f
  cross join lateral (select v_mapping.sync_data -> 'fields' ->> r.target as sent) as s
  order by r.place;

  if v_is_cut then
    return query select v_connection.record, v_document ->> 'email', null::text, null::text, null::jsonb, null::jsonb, 'kept out',
      'the contact has more than 200 waiting rows: shown is what the first 200 of them make';
  end if;

  -- its company
  if v_document ? 'company' then
    return query
    select 'company', v_document -> 'company' ->> 'key', f.key, null::text, f.value, null::jsonb, 'new', 'made, unless the CRM has a company of this name: that keeps what it has'
    from jsonb_each(coalesce(v_document -> 'company' -> 'fields', '{}')) as f
    union all
    select 'company', v_document -> 'company' ->> 'key', null, 'company', v_document -> 'company' -> 'name', v_document -> 'company' -> 'name', 'same',
      format('known in the CRM as %s, where it keeps what it has%s', v_document -> 'company' ->> 'external_id',
        case when v_document ->> 'linked_company_id' = v_document -> 'company' ->> 'external_id' then '' else '; the contact is associated with it' end)
    where v_document -> 'company' ->> 'external_id' is not null;
  end if;

  -- deals
  if v.deals is null then
    null;
  elsif v_connection.record = 'lead' and coalesce(v_mapping.external_contact_id, '00Q') ~ '^00Q' then
    return query
    select 'deal', q.payload ->> 'key', null::text, null::text, null::jsonb, null::jsonb, 'kept out', 'a lead takes no deal; people convert it first'
    from unnest(v.deals) as q;
  else
    v_documents := crm_sync.compose_deals(v_connection.organization_id, p_integration_id, v.deals, v_meant);
    return query
    select 'deal', d.document ->> 'key', f.key, c.rule ->> 'from', f.value -> 'value', null::jsonb, 'new',
      case when c.rule ->> 'from' in ('pipeline', 'stage') then 'a pipeline or stage that the CRM has no more gives way to its first: its word is the last'
        else 'a deal is made once, and then belongs to the people who work with it' end
    from jsonb_array_elements(v_documents) with ordinality as d (document, place)
    cross join lateral jsonb_each(d.document -> 'fields') as f
    left join lateral (
      select c.rule from crm_sync.chosen_rules(coalesce(v_connection.config -> 'field_mappings' -> 'deal', '[]'),
        coalesce(v_connection.field_mappings -> 'deal', '[]')) as c
      where c.rule ->> 'to' = f.key
      limit 1
    ) as c on true
    order by d.place;
  end if;
  if cardinality(v_there) > 0 then
    return query
    select case split_part(q.payload ->> 'key', ':', 1) when 'deal' then 'deal' else 'task' end, q.payload ->> 'key', null::text, null::text, null::jsonb, null::jsonb,
      'kept out', 'it is in the CRM already, or on its way, and belongs to the people who work with it'
    from unnest(v_asked) as q
    where q.payload ->> 'key' = any (v_there) and q.payload ->> 'key' not like 'message:%'
      and not exists (select from unnest(v_rows) as r where r.payload ->> 'key' = q.payload ->> 'key');
  end if;

  -- messages and tasks: of very many the newest
  v_more := 0;
  if cardinality(v.messages) > 20 then
    select greatest(count(distinct q.message_id) - 20, 0) into v_more from unnest(v.messages) as q;
    v.messages := array(
      select q from unnest(v.messages) as q
      where q.message_id = any (array(select m.message_id from unnest(v.messages) as m group by m.message_id order by max(m.id) desc limit 20))
    );
  end if;
  v_documents := crm_sync.compose_activities(v_connection.organization_id, p_integration_id, v.messages, v_meant);
  return query
  select 'activity', d.document ->> 'key', o.field, o.our_field, d.document -> o.field, null::jsonb, case when d.document ? 'external_id' then 'changed' else 'new' end,
    case when d.document ? 'external_id' then format('the note %s is written again', d.document ->> 'external_id')
      else 'becomes a note of its own; HTML, labels and lengths are as the CRM wants them' end
  from jsonb_array_elements(v_documents) as d (document)
  cross join (values
    (1, 'subject', 'inbox_messages.subject'), (2, 'body', 'inbox_messages.body'), (3, 'occurred_at', 'inbox_messages.received_at'),
    (4, 'intent', 'message_classifications.intent'), (5, 'sentiment', 'message_classifications.sentiment'), (6, 'priority', 'message_classifications.priority'),
    (7, 'next_action', 'message_classifications.next_action'), (8, 'confidence', 'message_classifications.confidence'),
    (9, 'requires_human_attention', 'message_classifications.requires_human_attention')
  ) as o (place, field, our_field)
  where d.document ? o.field
  order by d.document ->> 'occurred_at' desc, d.document ->> 'key', o.place;
  if v_more > 0 then
    return query select 'activity', null::text, null::text, null::text, to_jsonb(v_more), null::jsonb, 'new', format('%s older messages become notes as well', v_more);
  end if;

  if v.tasks is null then
    return;
  end if;
  select greatest(count(distinct q.message_id) - 20, 0) into v_more from unnest(v.tasks) as q;
  v_documents := crm_sync.compose_tasks(v_connection.organization_id, p_integration_id,
    array(select q from unnest(v.tasks) as q order by q.id desc limit 20), v_meant);
  return query
  select 'task', d.document ->> 'key', o.field, o.our_field, d.document -> o.field, null::jsonb, 'new',
    case when o.field = 'due_at' then 'counted from the moment at which the contact arrives' else 'made once, and then belongs to the people who work with it' end
  from jsonb_array_elements(v_documents) as d (document)
  cross join (values (1, 'subject', 'inbox_messages.subject'), (2, 'body', 'inbox_messages.body'), (3, 'due_at', null), (4, 'is_urgent', 'message_classifications.priority'))
    as o (place, field, our_field)
  order by d.document ->> 'key', o.place;
  if v_more > 0 then
    return query select 'task', null::text, null::text, null::text, to_jsonb(v_more), null::jsonb, 'new', format('%s more tasks', v_more);
  end if;
end;
$$;
comment on function crm_sync.plan(uuid, bigint) is
  'Reader: what would be sent now for a contact through a connection, field by field against what was last sent; nothing is sent or written, and the CRM has the last word where the reason says so.';
