-- Bounded, however long the queue is: it counts so many rows and no more, and of the waiting ones it reads the first of each priority.
create or replace function crm_sync.headline(p_most integer default 20000)
returns table (connections bigint, need_person bigint, waiting bigint, oldest_seconds double precision)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
  select c.connections, c.need_person, w.waiting,
    case when o.oldest is not null then greatest(extract(epoch from clock_timestamp() - o.oldest), 0)::double precision end
  from (
    select
      count(*) filter (where i.status <> 'disconnected') as connections,
      count(*) filter (where i.status = 'error') as need_person
    from public.user_integrations as i
  ) as c
  cross join (
    select count(*) as waiting from (select from public.sync_queue as q where q.completed_at is null limit p_most + 1) as q
  ) as w
  left join lateral (
    -- a row of an hourly or daily connection waits from its slot on
    select min(f.scheduled_at) as oldest
    from (select l.integration_id, crm_sync.floors_of(l) as floors from crm_sync.lanes as l offset 0) as l
    cross join lateral crm_sync.first_open(l.integration_id, l.floors) as f
  ) as o on w.waiting > 0
$$;
comment on function crm_sync.headline(integer) is
  'Worker: how it stands in one row, for the line that systemd shows: connections, those that need a person, open rows (counted up to one more than so many), and how many seconds ago the oldest of them was due.';
