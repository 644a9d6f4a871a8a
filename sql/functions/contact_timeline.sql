create or replace function crm_sync.contact_timeline(p_contact_id uuid, p_limit integer default 100)
returns table (
  happened_at timestamptz, kind text, status text, title text, detail text, integration_id bigint, message_id uuid, entry_id bigint, external_id text
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
  with contact as (
    select k.id, k.organization_id from public.contacts as k
    where k.id = p_contact_id and crm_sync.caller_may_see(k.organization_id)
    limit 1
  ),
  messages as (
    select m.id, m.subject, m.body, m.received_at
    from contact as k
    cross join lateral (
      select m.* from public.inbox_messages as m
      where m.organization_id = k.organization_id and m.contact_id = k.id
      order by m.received_at desc
      limit least(p_limit, 500)
    ) as m
  )
  select t.*
  from (
    select m.received_at, 'message', 'info', 'Reply received' || coalesce(': ' || nullif(btrim(m.subject), ''), ''),
      nullif(left(btrim(m.body), 300), ''), null::bigint, m.id, null::bigint, null::text
    from messages as m
    union all
    select c.created_at, 'classification', 'info', 'Classified as ' || coalesce(nullif(lower(replace(c.intent::text, '_', ' ')), ''), 'nothing in particular'),
      nullif(concat_ws(', ', case when c.confidence is not null then format('%s %% sure', round(c.confidence * 100)) end,
        nullif(replace(c.sentiment::text, '_', ' '), ''), nullif(c.priority::text, '') || ' priority', 'next: ' || nullif(replace(c.next_action::text, '_', ' '), ''),
        case when c.requires_human_attention then 'a person should look at it' end), ''),
      null, m.id, null, null
    from messages as m
    join public.message_classifications as c on c.message_id = m.id
    union all
    -- what has not come to an end, and what was not sent; everything else is in the log
    select case when q.status = 'skipped' then coalesce(q.completed_at, q.created_at) else q.created_at end, 'queue',
      case q.status when 'skipped' then 'warning' when 'retry' then 'warning' else 'info' end,
      n.noun || case q.status when 'pending' then ' waits to be sent' when 'processing' then ' is being sent' when 'retry' then ' will be tried again' else ' was not sent' end,
      q.last_error, q.integration_id, q.message_id, null, null
    from contact as k
    cross join lateral (
      select q.*
      from public.user_integrations as i
      cross join lateral (
        select q.* from public.sync_queue as q
        where q.integration_id = i.id and q.contact_id = k.id and q.completed_at is null
        order by q.id desc
        limit least(p_limit, 500)
      ) as q
      where i.organization_id = k.organization_id
      union all
      select q.*
      from (
        select q.* from public.sync_queue as q
        where q.contact_id = k.id and q.completed_at is not null and q.last_error is not null
        limit 3000
      ) as q
      where q.status = 'skipped' and q.organization_id = k.organization_id
    ) as q
    cross join lateral (
      select case when q.queue_type = 'contact_sync' then 'The contact' when q.queue_type = 'deal_sync' then 'The deal'
        when q.queue_type = 'contact_erasure' then 'The deletion'
        when q.payload ->> 'key' like 'task:%' then 'The task' else 'The activity' end as noun
    ) as n
    union all
    select a.created_at, 'log', a.status, a.title, a.description, a.integration_id, a.message_id, a.id, a.external_id
    from contact as k
    cross join lateral (
      select a.* from public.sync_activity_logs as a
      where a.organization_id = k.organization_id and a.contact_id = k.id
      order by a.created_at desc
      limit least(p_limit, 500)
    ) as a
  ) as t (happened_at, kind, status, title, detail, integration_id, message_id, entry_id, external_id)
  order by t.happened_at desc, t.entry_id desc nulls last
  limit least(p_limit, 500);
end;
$$;
comment on function crm_sync.contact_timeline(uuid, integer) is
  'Reader: what happened to a contact that the caller may see, newest first: replies, what they were taken for, what waits or was not sent, what the CRMs answered.';
