create or replace function crm_sync.enqueue_follow_ups(p_batch crm_sync.batches, p_outcomes jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_wants record;
begin
  select i.sync_settings ->> 'auto_create_deals' = 'true' as deals, i.sync_settings ->> 'log_activities' = 'true' as activities,
    i.sync_settings ->> 'attention_tasks' = 'true' as tasks,
    (select f.doubtful_before from crm_sync.fence as f) as doubtful_before
  into v_wants
  from public.user_integrations as i
  where i.organization_id = p_batch.organization_id and i.id = p_batch.integration_id;

  with outcomes as materialized (
    select p_batch.organization_id as organization_id, x.row_id::bigint as row_id, coalesce(o.takes_deals, true) as takes_deals
    from jsonb_to_recordset(p_outcomes) as o (rows jsonb, status text, takes_deals boolean)
    cross join lateral jsonb_array_elements_text(o.rows) as x (row_id)
    where o.status = 'synced'
  ),
  done as materialized (
    select q.*, o.takes_deals
    from outcomes as o
    cross join lateral crm_sync.row_of(o.organization_id, o.row_id) as q
    where q.queue_type = 'contact_sync' and not q.payload ? 'because' -- what hangs on a contact that is made again waits in the queue already
  ),
  synced as materialized (
    select q.id, q.contact_id, q.message_id, q.classification_id, q.priority, f.rule,
      -- this may have been done already by a daemon of before
      coalesce(q.created_at < v_wants.doubtful_before, false) as is_doubtful,
      v_wants.deals and q.takes_deals and f.create_deal as create_deal, v_wants.tasks and f.needs_person as create_task
    from done as q
    cross join lateral crm_sync.follow_ups_of(q.organization_id, q.message_id, q.classification_id) as f
  ),
  deals as (
    insert into crm_sync.effects (organization_id, integration_id, object_type, key, contact_id, message_id, rule)
    select distinct on (s.contact_id, s.rule)
      p_batch.organization_id, p_batch.integration_id, 'deal', 'deal:' || s.contact_id || ':' || s.rule, s.contact_id, s.message_id, s.rule
    from synced as s
    where s.create_deal
    order by s.contact_id, s.rule, s.id
    on conflict do nothing -- there is a deal for this contact and rule already
    returning key
  ),
  activities as (
    insert into crm_sync.effects (organization_id, integration_id, object_type, key, contact_id, message_id)
    select distinct p_batch.organization_id, p_batch.integration_id, 'activity', 'message:' || s.message_id, s.contact_id, s.message_id
    from synced as s
    where v_wants.activities
    on conflict do nothing
  ),
  tasks as (
    insert into crm_sync.effects (organization_id, integration_id, object_type, key, contact_id, message_id)
    select distinct p_batch.organization_id, p_batch.integration_id, 'task', 'task:' || s.message_id, s.contact_id, s.message_id
    from synced as s
    where s.create_task
    on conflict do nothing -- people work with the task there is
    returning key
  )
  insert into public.sync_queue (organization_id, integration_id, contact_id, message_id, classification_id, queue_type, priority, uncertain, payload)
  select p_batch.organization_id, p_batch.integration_id, w.contact_id, w.message_id, w.classification_id, w.queue_type, w.priority, w.is_doubtful, jsonb_build_object('key', w.key)
  from (
    select d.* from (
      select distinct on (k.key) s.id, 1 as step, s.contact_id, s.message_id, s.classification_id, 'deal_sync' as queue_type, s.priority, s.is_doubtful, k.key
      from synced as s
      cross join lateral (select 'deal:' || s.contact_id || ':' || s.rule as key) as k
      -- not a join: two lists of a batch's length would be held against each other, each with each
      where s.create_deal and (k.key in (select d.key from deals as d)) is true
      order by k.key, s.id
    ) as d
    union all
    select s.id, 2, s.contact_id, s.message_id, s.classification_id, 'activity_sync', s.priority, s.is_doubtful, 'message:' || s.message_id
    from synced as s
    where v_wants.activities
    union all
    select t.* from (
      select distinct on (k.key) s.id, 3 as step, s.contact_id, s.message_id, s.classification_id, 'activity_sync' as queue_type, s.priority, s.is_doubtful, k.key
      from synced as s
      cross join lateral (select 'task:' || s.message_id as key) as k
      where s.create_task and (k.key in (select t.key from tasks as t)) is true
      order by k.key, s.id desc
    ) as t
  ) as w
  order by w.id, w.step;
end;
$$;
comment on function crm_sync.enqueue_follow_ups(crm_sync.batches, jsonb) is 'Worker: enqueues the deals, timeline activities and tasks that synced contacts ask for, each at most once.';
