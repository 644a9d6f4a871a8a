-- Everything by keys. The queue has no index of messages, so its rows are found through the contact: open ones and those that
-- failed or were skipped by their indexes, completed ones by the time that the log has of them.
create or replace function crm_sync.explained_steps(p_message_id uuid)
returns table (
  organization_id uuid, integration_id bigint, provider text, connection text, queue_id bigint, step text, has_arrived boolean, state text, answer text,
  intent text, rule text, filter text, attempts integer, max_attempts integer, code text, crm_says text,
  correlation_id text, meaning text, who_must_act text, remedy text, next_attempt_at timestamptz, external_id text, record_url text,
  enqueued_at timestamptz, finished_at timestamptz, object text, classification_id uuid,
  crm_record text, key text, sent jsonb
)
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
  v_message record;
  v_contacts uuid[];
  v_log public.sync_activity_logs[];
  v_times timestamptz[];
  v_rows public.sync_queue[];
  v_first timestamptz;
  v_classification record;
  v_connection record;
  v_still record;
  v_step record;
  v_row public.sync_queue;
  v_entry public.sync_activity_logs;
  v_mapping public.contact_sync_mappings;
  v_effect crm_sync.effects;
  v_contact_state text;
  v_is_cut boolean;
  v_kind text;
  v_time text;
begin
  select g.organization_id, g.contact_id into v_message from public.inbox_messages as g where g.id = p_message_id;
  if v_message.organization_id is null then
    -- nobody's, so for those only who look at all
    return query
    select null::uuid, null::bigint, null::text, null::text, null::bigint, null::text, false, 'absent', case
        when o.classification_id is not null then format('Waits for its message: %s; it is taken up as soon as that changes.', o.reason)
        else 'Nothing was enqueued: its message does not exist, or belongs to no organization, and is not waited for any more.'
      end,
      c.intent::text, null::text, null::text, null::integer, null::integer, null::text, null::text, null::text,
      'it was classified before its message was there', 'operator', 'Insert the message with its organization.',
      null::timestamptz, null::text, null::text, o.seen_at, null::timestamptz, null::text, c.id,
      null::text, null::text, null::jsonb
    from public.message_classifications as c
    left join crm_sync.orphans as o on o.classification_id = c.id
    where c.message_id = p_message_id and crm_sync.caller_may_see(null)
    order by c.created_at desc
    limit 5;
    return;
  elsif crm_sync.caller_may_see(v_message.organization_id) is not true then
    return; -- as for what does not exist
  end if;

  organization_id := v_message.organization_id;
  v_contacts := crm_sync.message_contacts(organization_id, p_message_id);
  select min(c.created_at) into v_first from public.message_classifications as c where c.message_id = p_message_id;
  if v_first is null then
    has_arrived := false;
    state := 'absent';
    answer := 'Nothing was asked of a CRM: the message has not been classified.';
    return next;
    return;
  end if;

  -- of very many entries 5,000
  with entries as materialized (
    select a.* from public.sync_activity_logs as a
    where a.organization_id = v_message.organization_id and a.contact_id = any (v_contacts)
      and (a.created_at >= v_first) is true -- by the contact, whatever the statistics say
    limit 5000
  )
  select
    array(select e::public.sync_activity_logs from entries as e where e.message_id = p_message_id order by e.created_at desc, e.id desc limit 500),
    array(
      select e.created_at from entries as e where e.message_id = p_message_id and e.status <> 'error'
      union
      -- a row that a newer one of its contact carried along has no entry of its own
      select s.created_at
      from (
        select e.created_at, row_number() over (partition by e.integration_id order by e.created_at) as place
        from entries as e
        where e.activity_type = 'sync_contact' and e.external_id is not null
      ) as s
      where s.place <= 3
    )
  into v_log, v_times;
  v_rows := array(select q from crm_sync.open_rows_of(organization_id, v_contacts, p_message_id, 3000) as q)
    || array(select q from crm_sync.ended_rows_of(organization_id, v_contacts, p_message_id, v_times) as q);

  for v_classification in
    select c.id, c.intent::text as intent, c.created_at, coalesce(c.requires_human_attention, false) as needs_person
    from public.message_classifications as c
    where c.message_id = p_message_id
    order by c.created_at desc, c.id
    limit 5
  loop
    classification_id := v_classification.id;
    intent := crm_sync.normalize_intent(v_classification.intent);
    rule := crm_sync.rule_words(organization_id, v_classification.intent);
    for v_connection in
      select i.id, i.name, i.provider_id, p.name as provider, p.display_name, p.config, i.status, i.sync_settings, i.sync_filters, i.sync_frequency, i.created_at
      from public.user_integrations as i
      join public.integration_providers as p on p.id = i.provider_id
      where i.organization_id = v_message.organization_id
        and (i.status <> 'disconnected' or exists (select from unnest(v_rows) as q where q.integration_id = i.id)
          or exists (select from unnest(v_log) as a where a.integration_id = i.id))
      order by i.id
      limit 20
    loop
      integration_id := v_connection.id;
      provider := v_connection.provider;
      connection := v_connection.name;
      filter := crm_sync.filter_words(v_connection.sync_filters, v_classification.id, organization_id, v_message.contact_id);
      select * into v_still from crm_sync.standstill(organization_id, v_connection.id);
      select * into v_mapping from crm_sync.mapping_of(organization_id, v_connection.id, coalesce(v_message.contact_id, v_contacts[1]));
      v_contact_state := null;

      for v_step in
        select o.*
        from (values
          (1, 'contact', 'contact_sync', 'sync_contact', 'Contact', null, true),
          (2, 'deal', 'deal_sync', 'sync_deal', 'Deal', 'deal:' || coalesce(v_message.contact_id, v_contacts[1]) || ':' || intent,
            coalesce(v_connection.sync_settings ->> 'auto_create_deals' = 'true'
              and coalesce(v_mapping.external_contact_id, '') !~ '^00Q'
              and (v_connection.sync_settings ->> 'contact_object' is distinct from 'lead' or v_mapping.external_contact_id is not null)
              and exists (select from crm_sync.intent_rule(v_message.organization_id, v_classification.intent) as r where r.create_deal), false)),
          (3, 'activity', 'activity_sync', 'sync_activity', 'Activity', 'message:' || p_message_id, coalesce(v_connection.sync_settings ->> 'log_activities' = 'true', false)),
          (4, 'task', 'activity_sync', 'sync_activity', 'Task', 'task:' || p_message_id,
            coalesce(v_connection.sync_settings ->> 'attention_tasks' = 'true' and v_classification.needs_person, false))
        ) as o (place, object, queue_type, activity_type, noun, key, is_wanted)
        order by o.place
      loop
        step := v_step.queue_type;
        object := v_step.object;
        v_row := null;
        v_entry := null;
        v_effect := null;
        select q.* into v_row
        from unnest(v_rows) as q
        where q.integration_id = v_connection.id and q.classification_id = v_classification.id and q.queue_type = v_step.queue_type
          and (v_step.queue_type <> 'activity_sync' or q.payload ->> 'key' = v_step.key)
        order by q.completed_at is null desc, q.id desc
        limit 1;
        select a.* into v_entry
        from unnest(v_log) as a
        where a.integration_id = v_connection.id and a.activity_type = v_step.activity_type and a.created_at >= v_classification.created_at
          and (v_step.queue_type <> 'activity_sync' or starts_with(a.title, v_step.noun))
          and (v_row.id is null or v_row.completed_at is null or a.created_at = v_row.completed_at)
        order by a.created_at desc, a.id desc
        limit 1;
        if v_row.superseded_by is not null then
          -- its words are with the row that carried it
          select a.* into v_entry
          from public.sync_activity_logs as a
          where a.organization_id = v_message.organization_id and a.contact_id = v_row.contact_id and a.created_at = v_row.completed_at
            and a.integration_id = v_connection.id and a.activity_type = 'sync_contact'
          limit 1;
        end if;
        if v_step.key is not null then
          select e.* into v_effect
          from crm_sync.effects as e
          where e.organization_id = v_message.organization_id and e.integration_id = v_connection.id and e.object_type = v_step.object and e.key = v_step.key;
        end if;

        v_is_cut := false;
        if v_step.object = 'contact' and v_row.id is null and v_entry.id is null then
          v_is_cut := exists (
            select from public.sync_queue as q
            where q.integration_id = v_connection.id and q.contact_id = v_message.contact_id and q.completed_at is null
            offset 3000
          );
        end if;
        state := case
          when v_is_cut then 'waiting'
          when v_row.status = 'pending' then 'waiting'
          when v_row.status = 'processing' then 'running'
          when v_row.status = 'retry' then 'retrying'
          when v_row.status = 'completed' and v_row.superseded_by is not null then 'superseded'
          when v_row.status = 'completed' then 'synced'
          when v_row.status in ('failed', 'skipped') then v_row.status
          -- purged: the log, the record of effects and the mapping know what became of it
          when v_entry.status = 'error' then 'failed'
          when v_entry.external_id is not null then 'synced'
          when v_effect.confirmed_at is not null and v_effect.message_id = p_message_id then 'synced'
          when v_effect.confirmed_at is not null then 'superseded'
          when v_step.object <> 'contact' and v_step.is_wanted and v_effect.key is null and v_contact_state in ('waiting', 'running', 'retrying') then 'waiting'
          when v_step.object <> 'contact' then null
          when v_message.contact_id is null then 'skipped'
          when v_mapping.last_synced_at >= v_classification.created_at then 'superseded'
          else 'absent'
        end;
        continue when state is null; -- nothing of this kind was asked for
        if v_step.object = 'contact' then
          v_contact_state := state;
        end if;

        queue_id := v_row.id;
        has_arrived := state in ('synced', 'superseded');
        attempts := v_row.attempts;
        max_attempts := v_row.max_attempts;
        enqueued_at := v_row.created_at;
        finished_at := coalesce(v_row.completed_at, case when has_arrived or state = 'failed'
          then coalesce(v_entry.created_at, v_effect.confirmed_at, case when v_step.object = 'contact' then v_mapping.last_synced_at end) end);
        external_id := case when has_arrived then coalesce(v_entry.external_id, v_effect.external_id,
          case when v_step.object = 'contact' then coalesce(v_mapping.external_contact_id, v_mapping.conflict_data ->> 'external_contact_id') end) end;
        record_url := case when external_id is not null and v_step.object in ('contact', 'deal') then crm_sync.record_url(v_connection.id, v_step.object, external_id) end;
        code := coalesce(v_row.failure ->> 'code', case when state = 'failed' then v_entry.error_details ->> 'code' end);
        correlation_id := coalesce(v_row.failure ->> 'correlation_id', case when state = 'failed' then v_entry.error_details ->> 'correlation_id' end);
        crm_says := case when v_row.status in ('failed', 'retry', 'processing') then v_row.last_error when state = 'failed' then v_entry.description end;
        v_kind := case when state in ('failed', 'retrying') then coalesce(v_row.failure ->> 'kind', v_entry.error_details ->> 'kind', 'other') end;
        meaning := null;
        who_must_act := null;
        remedy := null;
        next_attempt_at := null;
        if state in ('waiting', 'retrying') then
          if v_still.kind is null then
            next_attempt_at := greatest(v_row.next_attempt_at, now());
          elsif v_still.until is not null then
            next_attempt_at := greatest(v_row.next_attempt_at, v_still.until);
          end if;
          v_kind := coalesce(v_still.kind, v_kind);
          if v_still.kind in ('paused', 'disconnected', 'switched_off', 'no_daemon') then
            v_kind := null;
            meaning := v_still.reason;
            who_must_act := 'operator';
            remedy := case v_still.kind
              when 'paused' then (
                select case f.scope when 'integration' then format('select crm_sync.resume(%s);', f.key) when 'everything' then 'select crm_sync.resume_all(''everything'');'
                  else format('select crm_sync.resume_all(%L, %L);', f.scope, f.key) end
                from crm_sync.find_pause(organization_id, v_connection.id, v_connection.provider_id) as f
              )
              when 'disconnected' then 'Connect it again: its rows go on then.'
              when 'switched_off' then 'Switch it on: is_active in public.integration_providers.'
              else 'Start a daemon: crm-sync run.'
            end;
          end if;
        elsif state = 'absent' then
          remedy := 'select * from crm_sync.manual_sync(organization, array[contact]) sends the contact with its newest reply.';
        end if;
        if v_kind is not null then
          -- the one place that asks what a failure means
          select f.meaning, replace(f.remedy, 'crm_sync.retry_failed()', format('crm_sync.retry_failed(%s)', v_connection.id)), f.who_must_act into meaning, remedy, who_must_act
          from crm_sync.failure_meaning(v_connection.provider, v_kind, code) as f;
        end if;

        v_time := to_char(case when has_arrived or state = 'failed' then finished_at when state = 'running' then v_row.started_at else next_attempt_at end at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"');
        answer := case state
          when 'synced' then format('Arrived in %s as %s %s at %s', v_connection.display_name,
            case v_step.object when 'activity' then 'note' else v_step.object end, coalesce(external_id, '(id unknown)'), v_time)
            || coalesce('; ' || case when v_entry.status = 'warning' then v_entry.description end, '') || '.'
          when 'superseded' then case
            when v_step.object = 'deal' then format('The deal that this contact gets once is in %s already: %s, made for another reply at %s.', v_connection.display_name, external_id, v_time)
            else format('Arrived in %s as contact %s at %s, carried along by a newer row of the contact.', v_connection.display_name, coalesce(external_id, '(id unknown)'), v_time)
          end
          when 'failed' then format('Failed at %s: %s', v_time, coalesce(crm_says, 'for a reason that is not known any more'))
            || coalesce(format('; tried %s of %s times', attempts, max_attempts), '') || '.'
          when 'skipped' then format('Not sent: %s.', coalesce(v_row.last_error, 'the message belongs to no contact'))
          when 'running' then format('Is being sent, since %s.', v_time)
          when 'retrying' then case
            when v_still.kind is not null then format('Waits: %s%s; before that: %s', v_still.reason, coalesce(', until ' || v_time, ''), crm_says)
            else format('Is tried again at %s: %s', v_time, crm_says)
          end || format('; tried %s of %s times.', attempts, max_attempts)
          when 'waiting' then case
            when v_is_cut then 'Waits, most likely: the contact has more than 3,000 open rows on this connection, of which the newest were looked at; this is none of them.'
            when v_row.id is null then 'Follows when the contact has arrived.'
            when v_still.kind is not null then format('Waits: %s%s.', v_still.reason, coalesce(', until ' || v_time, ''))
            when v_row.next_attempt_at > now() then format('Waits for its time, %s: this connection works %s.', v_time, v_connection.sync_frequency)
            when exists (
              select from public.sync_queue as q
              where q.integration_id = v_row.integration_id and q.contact_id = v_row.contact_id and q.completed_at is null and q.batch_id is not null
            ) then 'Waits: another row of the contact is being sent.'
            else 'Waits for its turn: it is sent as soon as a daemon comes to it.'
          end
          else case
            when v_connection.created_at > v_classification.created_at then 'Nothing was enqueued: the connection was made later than the classification.'
            when v_connection.status = 'disconnected' then 'Nothing was enqueued: the CRM is disconnected.'
            else 'Nothing of it is left: it came to its end long ago, or the CRM was disconnected at that time.'
          end
        end;

        crm_record := case when v_step.object = 'contact' and v_connection.sync_settings ->> 'contact_object' = 'lead' and v_connection.config -> 'field_mappings' ? 'lead'
          then 'lead' else v_step.object end;
        key := v_step.key;
        sent := case when has_arrived then v_entry.request_data end;
        if state = 'absent' then
          step := null;
        end if;
        return next;
      end loop;
    end loop;

    if integration_id is null then
      -- an organization that has no CRM: only the reason is on record
      has_arrived := false;
      state := 'skipped';
      answer := 'Not sent: the organization has no connected CRM.';
      remedy := 'Connect a CRM; then crm_sync.manual_sync() sends the contact with its newest reply.';
      select q.id, q.created_at, q.completed_at, format('Not sent: %s.', q.last_error) into queue_id, enqueued_at, finished_at, answer
      from unnest(v_rows) as q
      where q.integration_id is null and q.classification_id = v_classification.id
      limit 1;
      answer := coalesce(answer, 'Not sent: the organization has no connected CRM.');
      step := case when queue_id is not null then 'contact_sync' end;
      return next;
    end if;
  end loop;
end;
$$;
comment on function crm_sync.explained_steps(uuid) is
  'Reader: what crm_sync.explain() says of a message, without the mapping and the payload of each step, and by what these are found.';
