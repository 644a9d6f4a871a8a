-- Once a minute by every daemon: one of them counts, the others find the settings' row taken, or the minute done.
create or replace function crm_sync.take_samples() returns integer
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_minute timestamptz := date_trunc('minute', now());
  v_samples crm_sync.samples[];
  v_count integer;
begin
  perform from crm_sync.config as c for no key update skip locked;
  if not found then
    return 0;
  end if;

  select array_agg((l.organization_id, l.integration_id, v_minute, l.synced, o.waiting, f.failed, now() - w.oldest)::crm_sync.samples)
  into v_samples
  from crm_sync.lanes as l
  cross join lateral (
    select count(*) as waiting from public.sync_queue as q where q.integration_id = l.integration_id and q.completed_at is null
  ) as o
  cross join lateral (
    select count(*) as failed from public.sync_queue as q
    where q.integration_id = l.integration_id and q.completed_at is not null and q.failure is not null
  ) as f
  left join lateral (
    select s.* from crm_sync.samples as s
    where s.organization_id = l.organization_id and s.integration_id = l.integration_id
    order by s.sampled_at desc
    limit 1
  ) as s on true
  -- the first of each priority, and those that are to be tried first again: all of a million would have to be read
  left join lateral (
    select min(q.created_at) as oldest
    from (
      select r.created_at
      from generate_series(1, 10) as p (priority)
      cross join lateral (
        select q.created_at from public.sync_queue as q
        where q.integration_id = l.integration_id and q.priority = p.priority and q.completed_at is null and q.next_attempt_at is null
        order by q.id
        limit 1
      ) as r
      union all
      select d.created_at
      from (
        select q.created_at from public.sync_queue as q
        where q.integration_id = l.integration_id and q.completed_at is null and q.next_attempt_at is not null
        order by q.next_attempt_at
        limit 100
      ) as d
    ) as q
  ) as w on o.waiting > 0
  where s.sampled_at is null or (s.sampled_at < v_minute and (s.synced, s.waiting, s.failed) is distinct from (l.synced, o.waiting, f.failed));

  -- a connection that is being deleted at this moment is left alone: waiting for it, we might hold what it waits for
  with alive as materialized (
    select i.organization_id, i.id
    from unnest(v_samples) as s
    join public.user_integrations as i on i.organization_id = s.organization_id and i.id = s.integration_id
    for key share of i skip locked
  )
  insert into crm_sync.samples
  select s.*
  from unnest(v_samples) as s
  join alive as a on a.organization_id = s.organization_id and a.id = s.integration_id
  on conflict do nothing;
  get diagnostics v_count = row_count;

  delete from crm_sync.samples as s
  where s.ctid = any (array(
    select x.ctid from crm_sync.samples as x
    where x.sampled_at < now() - (select c.retain_samples from crm_sync.config as c)
    order by x.sampled_at
    limit 10000
    for update skip locked
  ));
  return v_count;
end;
$$;
comment on function crm_sync.take_samples() is
  'Worker: notes how each connection stands that stands otherwise than a minute ago, for the charts, and deletes what is past its retention; returns how many were noted.';
