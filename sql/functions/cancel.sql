create or replace function crm_sync.cancel(
  p_integration_id bigint, p_contact_id uuid default null, p_queue_ids bigint[] default null, p_reason text default null, p_all boolean default false
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_integration public.user_integrations := crm_sync.begin_action(p_integration_id);
  v_words text := 'cancelled by ' || crm_sync.caller_name() || coalesce(': ' || nullif(left(btrim(p_reason), 500), ''), '');
  v_room integer := crm_sync.rows_at_once();
  v_chosen record;
  v_count bigint;
begin
  if p_contact_id is null and p_queue_ids is null and p_all is not true then
    raise exception using errcode = 'CS054', message = 'nothing says what is to be cancelled',
      hint = 'Give a contact (p_contact_id), rows (p_queue_ids), or p_all => true for all that waits on this connection.';
  elsif p_all and (p_contact_id is not null or p_queue_ids is not null) then
    raise exception using errcode = 'CS054', message = 'either all that waits is to be cancelled, or what was named', hint = 'Leave p_all away, or name nothing else.';
  elsif cardinality(p_queue_ids) = 0 or array_position(p_queue_ids, null) is not null then
    raise exception using errcode = 'CS054', message = 'p_queue_ids must be a list of ids, without nulls',
      hint = 'select id from public.sync_queue where …; leave it away to cancel by contact.';
  end if;
  select array_agg(c.id) filter (where c.batch_id is null) as ids, count(*) filter (where c.batch_id is not null) as running into v_chosen
  from (
    select q.id, q.batch_id
    from unnest(p_queue_ids) as u (id)
    cross join lateral crm_sync.row_of(v_integration.organization_id, u.id) as q
    where q.integration_id = p_integration_id and (p_contact_id is null or q.contact_id = p_contact_id) and q.status in ('pending', 'retry', 'processing', 'failed')
    union all
    (
      select q.id, q.batch_id from public.sync_queue as q
      where p_queue_ids is null and q.integration_id = p_integration_id and q.contact_id = p_contact_id and q.completed_at is null
      limit v_room + 1
    )
    union all
    (
      select q.id, q.batch_id from public.sync_queue as q
      where p_all and q.integration_id = p_integration_id and q.completed_at is null and q.batch_id is null
      limit v_room + 1
    )
    union all
    -- what is under way is told, not touched
    select u.id, b.id from crm_sync.batches as b cross join lateral unnest(b.row_ids) as u (id)
    where p_all and b.organization_id = v_integration.organization_id and b.integration_id = p_integration_id
  ) as c;

  with cancelled as (
    update public.sync_queue as q
    set status = 'skipped', completed_at = now(), next_attempt_at = null, failure = null,
      last_error = v_words
    from (select v_integration.organization_id as organization_id, u.id from unnest(v_chosen.ids[:v_room]) as u (id) offset 0) as u
    where q.organization_id = u.organization_id and q.id = u.id and q.status in ('pending', 'retry', 'failed')
    returning q.organization_id, q.integration_id, q.contact_id, q.id, q.uncertain, q.payload ->> 'key' as key
  ),
  unmeant as (
    -- a deal or a task that was never made may be made another time
    delete from crm_sync.effects as e
    using cancelled as c
    where c.key is not null and e.organization_id = c.organization_id and e.integration_id = c.integration_id and e.object_type in ('deal', 'task', 'activity') and e.key = c.key
      and e.external_id is null and not c.uncertain
      and not exists (
        select from public.sync_queue as q
        where q.integration_id = e.integration_id and q.contact_id = e.contact_id and q.completed_at is null and q.payload ->> 'key' = e.key
          and (q.id in (select o.id from cancelled as o)) is not true
      )
  )
  select count(*) into v_count from cancelled as c;
  if v_count > 0 then
    perform crm_sync.end_action(v_integration, 'Rows cancelled', format('%s row(s) %s', v_count, v_words));
  end if;
  if v_chosen.running > 0 then
    raise notice '% row(s) are under way and were left alone: pause the connection first if they must not be sent', v_chosen.running;
  end if;
  if cardinality(v_chosen.ids) > v_room then
    raise notice '% row(s) cancelled, as many as one call takes; there are more: call it again', v_count;
  end if;
  return v_count;
end;
$$;
comment on function crm_sync.cancel(bigint, uuid, bigint[], text, boolean) is
  'Operator: waiting rows of a connection are not sent any more, but skipped with the reason: those of a contact, those with these ids (failed ones as well), or all; what is under way stays so. Up to 5,000 a call, returns how many.';
