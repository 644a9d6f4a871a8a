create or replace function crm_sync.queue_depths(p_most integer default 200)
returns table (
  integration_id bigint, provider text, connection_state text, pending bigint, processing bigint, retry bigint, oldest_wait double precision
)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
  select
    s.integration_id, s.provider, s.connection_state, sum(s.waiting)::bigint, sum(s.running)::bigint, sum(s.retrying)::bigint,
    -- a row of an hourly or daily connection waits from its slot on
    greatest(extract(epoch from clock_timestamp() - min(s.due_at)), 0)::double precision
  from (
    select
      case when p_most >= row_number() over (order by c.waiting + c.running + c.retrying desc, c.integration_id) then c.integration_id end as integration_id,
      p.name as provider, crm_sync.connection_state(i.status, l) as connection_state, c.waiting, c.running, c.retrying, c.due_at
    from crm_sync.lane_counts() as c
    join public.user_integrations as i on i.organization_id = c.organization_id and i.id = c.integration_id
    join public.integration_providers as p on p.id = i.provider_id
    join crm_sync.lanes as l on l.organization_id = c.organization_id and l.integration_id = c.integration_id
    where c.waiting + c.running + c.retrying > 0
  ) as s
  group by s.integration_id, s.provider, s.connection_state
$$;
comment on function crm_sync.queue_depths(integer) is
  'Worker: for the metrics: the open rows of the connections that have most of them, and how many seconds ago the oldest was due; the other connections are summed by provider and state, with a null for the connection.';
