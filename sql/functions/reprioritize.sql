create or replace function crm_sync.reprioritize(
  p_priority integer, p_integration_id bigint default null, p_contact_id uuid default null, p_queue_ids bigint[] default null
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
  v_integration_id bigint;
  v_integration public.user_integrations;
  v_organization_id uuid;
  v_moved record;
  v_room integer := crm_sync.rows_at_once();
  v_total bigint := 0;
  v_busy bigint[] := '{}';
begin
  if p_priority is null or p_priority not between 1 and 10 then
    raise exception using errcode = 'CS056', message = format('there is no priority %s', coalesce(p_priority::text, 'null')),
      hint = 'Priorities are 1 (sent first) to 10 (sent last).';
  elsif p_integration_id is null and p_contact_id is null and p_queue_ids is null then
    raise exception using errcode = 'CS054', message = 'nothing says which rows are to have another priority',
      hint = 'Give a connection (p_integration_id), a contact (p_contact_id) or rows (p_queue_ids).';
  elsif cardinality(p_queue_ids) = 0 or array_position(p_queue_ids, null) is not null then
    raise exception using errcode = 'CS054', message = 'p_queue_ids must be a list of ids, without nulls',
      hint = 'select id from public.sync_queue where …; leave it away to choose by contact or connection.';
  end if;
  if p_integration_id is not null then
    perform crm_sync.require_integration(p_integration_id);
  elsif p_contact_id is not null then
    v_organization_id := crm_sync.require_contact(p_contact_id);
  end if;
  for v_integration_id in
    select m
    from crm_sync.managed_integrations() as m
    join public.user_integrations as i on i.id = m
    where p_integration_id is null and (v_organization_id is null or i.organization_id = v_organization_id)
    union all
    select p_integration_id where p_integration_id is not null
    order by 1
  loop
    -- most connections have none of the rows that were named: only those that do are locked
    continue when p_integration_id is null and p_queue_ids is not null and not exists (
      select
      from public.user_integrations as i
      cross join unnest(p_queue_ids) as u (id)
      cross join lateral crm_sync.row_of(i.organization_id, u.id) as q
      where i.id = v_integration_id and q.integration_id = v_integration_id and q.completed_at is null
    );
    -- of many none is waited for while the lanes of others are held
    if p_integration_id is null and not crm_sync.lock_lane(v_integration_id) then
      v_busy := v_busy || v_integration_id;
      continue;
    end if;
    v_integration := crm_sync.begin_action(v_integration_id);
    with chosen as (
      select q.organization_id, q.id
      from unnest(p_queue_ids) as u (id)
      cross join lateral crm_sync.row_of(v_integration.organization_id, u.id) as q
      where q.integration_id = v_integration_id and (p_contact_id is null or q.contact_id = p_contact_id) and q.completed_at is null
        and q.priority <> p_priority
      union all
      (
        select q.organization_id, q.id from public.sync_queue as q
        where p_queue_ids is null and p_contact_id is not null and q.integration_id = v_integration_id and q.contact_id = p_contact_id
          and q.completed_at is null and q.priority <> p_priority
        limit v_room - v_total
      )
      union all
      (
        select q.organization_id, q.id from public.sync_queue as q
        where p_queue_ids is null and p_contact_id is null and q.integration_id = v_integration_id
          and q.completed_at is null and q.batch_id is null and q.priority <> p_priority
        limit v_room - v_total
      )
    ),
    moved as (
      update public.sync_queue as q
      set priority = p_priority
      from (select * from chosen limit v_room - v_total) as c
      where q.organization_id = c.organization_id and q.id = c.id and q.completed_at is null and q.batch_id is null
      returning q.id, q.priority
    )
    select count(*) as rows, array_agg(m.id) as ids, array_agg(m.priority) as priorities into v_moved from moved as m;
    if v_moved.rows > 0 then
      perform crm_sync.end_action(v_integration, 'Priority changed',
        format('%s row(s) given priority %s by %s', v_moved.rows, p_priority, crm_sync.caller_name()), v_moved.ids, v_moved.priorities);
    end if;
    v_total := v_total + v_moved.rows;
    exit when v_total >= v_room;
  end loop;
  if cardinality(v_busy) > 0 then
    raise notice 'connections that somebody is just changing were left alone: %; call it again', array_to_string(v_busy, ', ');
  end if;
  if v_total >= v_room then
    raise notice '% row(s) changed, as many as one call takes; there may be more: call it again', v_total;
  end if;
  return v_total;
end;
$$;
comment on function crm_sync.reprioritize(integer, bigint, uuid, bigint[]) is
  'Operator: gives waiting rows another priority, 1 (first) to 10 (last): those of a connection, of a contact, or with these ids; up to 5,000 a call, returns how many.';
