-- Looks, sleeps a little longer each time, and looks again; each look is of a newer snapshot. It holds no lock, but the statement
-- that waits keeps its first snapshot, as any statement does: for long waits, ask often for a short while.
create or replace function crm_sync.wait_for(p_message_id uuid, p_timeout interval default '30 seconds') returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_end timestamptz;
  v_pause double precision := 0.01;
  v_message record;
  v_seen record;
begin
  if p_timeout is null or p_timeout not between interval '0' and interval '1 hour' then
    raise exception using errcode = 'CS042', message = format('a timeout of %s makes no sense', coalesce(p_timeout::text, 'null')),
      hint = 'Give how long to wait, from zero to an hour: interval ''30 seconds''. For longer, ask again: a statement that waits keeps the vacuum from its work.';
  elsif current_setting('transaction_isolation') <> 'read committed' then
    raise exception using errcode = 'CS041', message = 'this transaction sees no change that others make: it would wait for nothing',
      hint = 'Wait outside it, or in a transaction of isolation level READ COMMITTED.';
  end if;
  v_end := clock_timestamp() + p_timeout;
  loop
    select g.organization_id, g.id is not null as is_there into v_message from public.inbox_messages as g where g.id = p_message_id;
    select count(*) as classifications, count(o.classification_id) as orphans into v_seen
    from public.message_classifications as c
    left join crm_sync.orphans as o on o.classification_id = c.id
    where c.message_id = p_message_id;
    if crm_sync.caller_may_see(v_message.organization_id) is not true or (v_message.is_there is not true and v_seen.classifications = 0) then
      raise exception using errcode = 'CS040', message = format('nobody knows the message %s', coalesce(p_message_id::text, 'null')),
        hint = 'It is neither in public.inbox_messages nor classified, or it is not yours; commit it before you wait for it.';
    end if;

    if v_message.organization_id is not null and v_seen.classifications > 0 and v_seen.orphans = 0 then
      select count(*) as rows, bool_or(q.xmin::text = (pg_catalog.pg_current_xact_id_if_assigned()::text::bigint % 4294967296)::text) as is_own into v_seen
      from crm_sync.open_rows_of(v_message.organization_id, crm_sync.message_contacts(v_message.organization_id, p_message_id), p_message_id, null) as r
      cross join lateral (select q.xmin from public.sync_queue as q where q.organization_id = r.organization_id and q.id = r.id limit 1) as q;
      if v_seen.rows = 0 then
        return true;
      elsif v_seen.is_own then
        raise exception using errcode = 'CS041', message = 'what it waits for was enqueued or changed by this very transaction: nobody else can see it',
          hint = 'Commit first, then wait.';
      end if;
    end if;
    exit when clock_timestamp() >= v_end;
    perform pg_catalog.pg_sleep(least(v_pause, extract(epoch from v_end - clock_timestamp())));
    v_pause := least(v_pause * 1.5, 0.5);
  end loop;
  return false;
end;
$$;
comment on function crm_sync.wait_for(uuid, interval) is
  'Reader: waits until everything of a message has come to its end on all connections, arrived or not: true then, false at the timeout, which is an hour at most; raises CS040 for a message that nobody knows.';
