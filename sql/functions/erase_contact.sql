-- One lock order everywhere: connections, lanes, batches, rows, mappings. What takes long in a large organization is done before the
-- lanes are locked, and looked at again after: meanwhile claims of its connections would wait.
create or replace function crm_sync.erase_contact(
  p_contact_id uuid, p_in_crm boolean default false, p_reason text default null, p_words text[] default '{}'
)
returns table (what text, integration_id bigint, rows bigint, remark text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
#variable_conflict use_column
declare
  v_organization_id uuid := crm_sync.require_traces(p_contact_id);
  v_begun timestamptz := clock_timestamp();
  v_contact public.contacts;
  v_email text;
  v_pattern text;
  v_before crm_sync.erasures;
  v_finished bigint[];
  v_shared uuid[];
  v_redacted bigint;
  v_integration record;
  v_ids record;
  v_id bigint;
  v_asked bigint[] := '{}';
  v_done jsonb := '[]';
  v_count bigint;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using errcode = 'CS094', message = format('a person cannot be erased in a transaction that is %s', current_setting('transaction_isolation')),
      hint = 'It would not see what was committed since it began: call crm_sync.erase_contact() in one that is READ COMMITTED.';
  elsif array_position(p_words, null) is not null or exists (select from unnest(p_words) as u (word) where length(btrim(u.word)) < 6) then
    raise exception using errcode = 'CS093', message = 'a word to look for has at least 6 characters',
      hint = 'p_words are what texts about others may quote of this person: a former address, a maiden name. A short word would blank what is about somebody else.';
  elsif cardinality(p_words) > 20 or exists (select from unnest(p_words) as u (word) where length(u.word) > 200) then
    raise exception using errcode = 'CS093', message = 'there may be 20 words to look for, of up to 200 characters each',
      hint = 'All that is kept of the organization is searched for them: take those that tell this person from others.';
  elsif length(p_reason) > 500 then
    raise exception using errcode = 'CS091', message = format('a reason has up to 500 characters, not %s', length(p_reason)), hint = 'It is kept: say in short why, and not who.';
  end if;
  -- two at once would blank the same texts in different orders, and wait for each other
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('crm_sync.erase_contact', pg_catalog.hashtextextended(v_organization_id::text, 0)));
  v_pattern := crm_sync.traces_pattern(v_organization_id, p_contact_id, coalesce(p_words, '{}'));
  select * into v_before from crm_sync.erasures as e where e.organization_id = v_organization_id and e.contact_id = p_contact_id;
  select * into v_contact from crm_sync.contact_of(v_organization_id, p_contact_id);
  v_email := lower(btrim(v_contact.email::text));

  -- a connection whose last error quotes the person is changed below: it is locked for that now, before its lane
  perform from public.user_integrations as i where i.organization_id = v_organization_id and i.last_error ~* v_pattern order by i.id for no key update;
  perform from public.user_integrations as i where i.organization_id = v_organization_id order by i.id for key share;
  v_finished := array(
    select q.id from public.sync_queue as q
    where q.organization_id = v_organization_id and q.contact_id = p_contact_id and q.completed_at is not null and q.queue_type <> 'contact_erasure'
  );
  v_redacted := crm_sync.redact_logs(v_organization_id, p_contact_id, v_pattern, '-infinity', v_begun - interval '1 minute');
  v_shared := array(
    select k.id from public.contacts as k
    where k.organization_id = v_organization_id and k.id <> p_contact_id and v_email <> '' and lower(btrim(k.email::text)) = v_email
    order by k.id
    limit 100
  );

  perform from crm_sync.lanes as l where l.organization_id = v_organization_id order by l.integration_id for no key update;
  insert into crm_sync.erasures as e (organization_id, contact_id, erased_by, reason)
  values (v_organization_id, p_contact_id, crm_sync.caller_name(), crm_sync.redacted(nullif(btrim(p_reason), ''), v_pattern))
  on conflict (organization_id, contact_id) do update
  set erased_at = excluded.erased_at, erased_by = excluded.erased_by, reason = coalesce(excluded.reason, e.reason), lifted_at = null, lifted_by = null;

  -- what the CRMs are to delete, in rows that hold ids and nothing else
  perform pg_catalog.pg_current_xact_id(); -- before ids are given out: see mark_lane
  for v_integration in
    select i.id, i.status, i.name, i.account_id, p.display_name, p.is_active
    from public.user_integrations as i
    join public.integration_providers as p on p.id = i.provider_id
    where p_in_crm and i.organization_id = v_organization_id
    order by i.id
  loop
    select * into v_ids from crm_sync.erased_ids(v_organization_id, v_integration.id, p_contact_id);
    v_id := null;
    if v_ids.is_uncertain or cardinality(v_ids.contacts || v_ids.deals || v_ids.activities || v_ids.tasks) > 0
      -- erased before without the CRM: the ids are forgotten, and it is looked for by our id
      or (v_before.contact_id is not null and (v_integration.id = any (v_before.asked)) is not true)
    then
      insert into public.sync_queue (organization_id, integration_id, contact_id, queue_type, priority, uncertain, payload)
      values (v_organization_id, v_integration.id, p_contact_id, 'contact_erasure', 1,
        v_ids.is_uncertain or cardinality(v_ids.contacts) = 0,
        jsonb_build_object('key', 'erasure:' || p_contact_id, 'account_id', v_integration.account_id, 'contacts', v_ids.contacts, 'deals', v_ids.deals,
          'activities', v_ids.activities, 'tasks', v_ids.tasks, 'deal_keys', v_ids.deal_keys))
      returning id into v_id;
      v_asked := v_asked || v_integration.id;
    end if;
    v_done := v_done || jsonb_build_object('what', v_integration.display_name, 'integration_id', v_integration.id,
      'rows', cardinality(v_ids.contacts || v_ids.deals || v_ids.activities || v_ids.tasks), 'remark', case
        when v_id is null and v_integration.id = any (v_before.asked) then 'was asked for before: see crm_sync.erasure_progress'
        when v_id is null then 'nothing of this contact is known to have been sent there'
        when v_integration.status = 'disconnected' or not v_integration.is_active then format('queued as row %s, but the connection is disconnected: connect it again, or delete the records there by hand', v_id)
        when v_integration.status = 'error' then format('queued as row %s; the connection waits for a person first', v_id)
        else format('records to be deleted there: queued as row %s', v_id)
      end);
  end loop;

  -- what is being sent at this moment: what the daemon says of it when it comes back is void
  with held as materialized (
    select q.batch_id, q.id, q.integration_id
    from crm_sync.lanes as l
    cross join lateral (
      select o.batch_id, o.id, o.integration_id from public.sync_queue as o
      where o.integration_id = l.integration_id and o.contact_id = p_contact_id and o.completed_at is null and o.batch_id is not null
        and o.queue_type <> 'contact_erasure'
    ) as q
    where l.organization_id = v_organization_id
  ),
  erased as (
    select h.batch_id, array_agg(h.id) as ids, jsonb_object_agg(h.id, (
      select max(q.id) from public.sync_queue as q
      where q.integration_id = h.integration_id and q.contact_id = p_contact_id and q.completed_at is null and q.queue_type = 'contact_erasure'
    )) as marks
    from held as h
    group by h.batch_id
  )
  update crm_sync.batches as b
  set row_ids = array(select u.id from unnest(b.row_ids) as u (id) where u.id <> all (e.ids)),
    erased = coalesce(b.erased, '{}') || e.marks
  from erased as e
  where b.id = e.batch_id;

  with doomed as materialized (
    select u.id from unnest(v_finished) as u (id)
    union
    select q.id
    from crm_sync.lanes as l
    cross join lateral (
      select o.id from public.sync_queue as o
      where o.integration_id = l.integration_id and o.contact_id = p_contact_id and o.completed_at is null and o.queue_type <> 'contact_erasure'
    ) as q
    where l.organization_id = v_organization_id
    union
    -- what was finished since we looked
    select q.id from public.sync_queue as q
    where q.completed_at >= v_begun - interval '1 minute' and (q.organization_id = v_organization_id) is true and (q.contact_id = p_contact_id) is true
      and q.queue_type <> 'contact_erasure'
  ),
  gone as (
    delete from public.sync_queue as q
    using doomed as d
    where q.organization_id = v_organization_id and q.id = d.id
    returning q.integration_id, q.status
  ),
  counts as (
    select g.integration_id, count(*) as rows, count(*) filter (where g.status = 'failed') as failed,
      -- what waited is counted as what was not to be sent
      count(*) filter (where g.status not in ('completed', 'failed')) as skipped,
      count(*) filter (where g.status = 'processing') as running
    from gone as g
    group by g.integration_id
  ),
  counted as (
    update crm_sync.lanes as l
    set purged = l.purged + c.rows, purged_failed = l.purged_failed + c.failed, purged_skipped = l.purged_skipped + c.skipped, recount_at = clock_timestamp()
    from counts as c
    where l.organization_id = v_organization_id and l.integration_id = c.integration_id
  )
  select v_done || coalesce(jsonb_agg(jsonb_build_object('what', 'public.sync_queue', 'integration_id', c.integration_id, 'rows', c.rows,
    'remark', case when c.running > 0 then 'some were being sent at this moment: what the daemon says of them is void' end) order by c.integration_id), '[]')
  into v_done
  from counts as c;

  with gone as (
    delete from crm_sync.effects as e
    where e.organization_id = v_organization_id and e.contact_id = p_contact_id
    returning e.integration_id
  )
  select v_done || coalesce(jsonb_agg(jsonb_build_object('what', 'crm_sync.effects', 'integration_id', c.integration_id, 'rows', c.rows) order by c.integration_id), '[]')
  into v_done
  from (select g.integration_id, count(*) as rows from gone as g group by g.integration_id) as c;

  with gone as (
    delete from public.contact_sync_mappings as m
    where m.contact_id = p_contact_id and (m.organization_id = v_organization_id) is true
    returning m.integration_id
  )
  select v_done || coalesce(jsonb_agg(jsonb_build_object('what', 'public.contact_sync_mappings', 'integration_id', c.integration_id, 'rows', c.rows) order by c.integration_id), '[]')
  into v_done
  from (select g.integration_id, count(*) as rows from gone as g group by g.integration_id) as c;
  update public.contact_sync_mappings as m
  set conflict_data = m.conflict_data - 'owner_contact_id'
  where m.organization_id = v_organization_id and m.conflict_data ->> 'owner_contact_id' = p_contact_id::text;

  with gone as (
    delete from public.sync_activity_logs as l
    where l.organization_id = v_organization_id and l.contact_id = p_contact_id
    returning l.integration_id
  )
  select v_done || coalesce(jsonb_agg(jsonb_build_object('what', 'public.sync_activity_logs', 'integration_id', c.integration_id, 'rows', c.rows) order by c.integration_id), '[]')
  into v_done
  from (select g.integration_id, count(*) as rows from gone as g group by g.integration_id) as c;

  with gone as (
    delete from crm_sync.orphans as o
    where o.message_id in (select g.id from public.inbox_messages as g where g.organization_id = v_organization_id and g.contact_id = p_contact_id)
    returning o.message_id
  )
  select v_done || coalesce(jsonb_agg(jsonb_build_object('what', 'crm_sync.orphans', 'rows', c.rows)), '[]')
  into v_done
  from (select count(*) as rows from gone having count(*) > 0) as c;

  -- words about others that quote the person
  v_redacted := v_redacted + crm_sync.redact_logs(v_organization_id, p_contact_id, v_pattern, v_begun - interval '1 minute', 'infinity');
  select v_done || coalesce(jsonb_agg(jsonb_build_object('what', r.what, 'integration_id', r.integration_id, 'rows', r.rows,
    'remark', 'not of this contact, but quoted it: blanked') order by r.what, r.integration_id), '[]')
  into v_done
  from (
    select * from crm_sync.redact_texts(v_organization_id, v_pattern)
    union all
    select 'public.sync_activity_logs', null, v_redacted where v_redacted > 0
  ) as r;
  with free as materialized (
    select i.id from public.user_integrations as i
    where i.organization_id = v_organization_id and i.last_error ~* v_pattern
    for no key update skip locked -- whoever changes it may be waiting for its lane, which is ours
  )
  update public.user_integrations as i
  set last_error = crm_sync.redacted(i.last_error, v_pattern)
  from free as f
  where i.organization_id = v_organization_id and i.id = f.id;
  get diagnostics v_count = row_count;
  if exists (select from public.user_integrations as i where i.organization_id = v_organization_id and i.last_error ~* v_pattern) then
    raise exception using errcode = 'CS092', message = 'somebody changes a connection of this organization at this moment, and its last error quotes the person',
      hint = 'Nothing was erased: call crm_sync.erase_contact() again.';
  elsif v_count > 0 then
    v_done := v_done || jsonb_build_object('what', 'public.user_integrations', 'rows', v_count, 'remark', 'the last error quoted it: blanked');
  end if;

  -- what we may not do: told
  if crm_sync.caller_may_manage(null) is not true then
    select count(*) into v_count from crm_sync.pauses as p where p.scope in ('provider', 'everything') and p.reason ~* v_pattern;
    if v_count > 0 then
      v_done := v_done || jsonb_build_object('what', 'an operator''s words', 'rows', v_count,
        'remark', 'the reason of a pause that holds for others too quotes it: ask an operator to erase the contact once more');
    end if;
  end if;
  if v_contact.id is not null then
    v_done := v_done || jsonb_build_object('what', 'public.contacts', 'rows', 1, 'remark', 'not touched: it is the host application''s, which has to delete it');
  end if;
  select count(*) into v_count from public.inbox_messages as g where g.organization_id = v_organization_id and g.contact_id = p_contact_id;
  if v_count > 0 then
    v_done := v_done || jsonb_build_object('what', 'public.inbox_messages', 'rows', v_count,
      'remark', 'not touched, nor what they were classified as: they are the host application''s, which has to delete them');
  end if;
  if cardinality(v_shared) > 0 then
    v_done := v_done || jsonb_build_object('what', 'same address', 'rows', cardinality(v_shared),
      'remark', format('other contacts have this e-mail address%s, and stay: %s', case when p_in_crm then ' and share the record in the CRM' else '' end, array_to_string(v_shared, ', ')));
  end if;
  for v_integration in
    select i.id from public.user_integrations as i
    where i.organization_id = v_organization_id
      and concat_ws(' ', i.name, i.sync_settings, i.field_mappings, i.sync_filters) ~* v_pattern
  loop
    v_done := v_done || jsonb_build_object('what', 'settings', 'integration_id', v_integration.id, 'rows', 1,
      'remark', 'the settings in force name this person: change them (name, sync_settings, field_mappings or sync_filters)');
  end loop;

  update crm_sync.erasures as e
  set removed = (
      select coalesce(jsonb_object_agg(d.what, d.rows), '{}')
      from (
        select d.what, sum(d.rows) as rows from jsonb_to_recordset(v_done) as d (what text, rows bigint)
        where d.what like '%.%' and d.what not in ('public.contacts', 'public.inbox_messages')
        group by d.what
      ) as d
    ),
    asked = array(select distinct u.id from unnest(e.asked || v_asked) as u (id) order by u.id),
    reached = array(select u.id from unnest(e.reached) as u (id) where u.id <> all (v_asked) order by u.id)
  where e.organization_id = v_organization_id and e.contact_id = p_contact_id;
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  select v_organization_id, i.id, 'connection', 'info', 'Person erased', format('A person was erased by %s%s: %s row(s) removed or blanked%s',
    crm_sync.caller_name(), coalesce(' (' || crm_sync.redacted(nullif(btrim(p_reason), ''), v_pattern) || ')', ''),
    (
      select coalesce(sum(d.rows), 0) from jsonb_to_recordset(v_done) as d (what text, integration_id bigint, rows bigint)
      where d.integration_id = i.id and d.what like '%.%'
    ),
    case when i.id = any (v_asked) then '; what was made in the CRM is to be deleted' else '' end)
  from public.user_integrations as i
  where i.organization_id = v_organization_id;
  if cardinality(v_asked) > 0 then
    perform crm_sync.ring();
  end if;
  return query select d.what, d.integration_id, d.rows, d.remark from jsonb_to_recordset(v_done) as d (what text, integration_id bigint, rows bigint, remark text);
end;
$$;
comment on function crm_sync.erase_contact(uuid, boolean, text, text[]) is
  'Operator: removes a contact from all that pg-crm-sync holds, blanks what words about others quote of it, and keeps it from being sent again until crm_sync.lift_erasure(); p_in_crm has the CRMs delete its record and the deals, messages and tasks made for it; p_words are more words to look for. Returns what it did, and what is left to do.';
