-- Reads every open row, through the index that holds only those: what has ended costs nothing, however much it is.
create or replace function crm_sync.queue_depths(p_most integer default 200)
returns table (
  integration_id bigint, provider text, connection_state text, pending bigint, processing bigint, retry bigint, oldest_wait double precision
)
language sql stable
security definer
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
  with open as (
    select
      q.integration_id,
      count(*) filter (where q.status = 'pending') as pending,
      count(*) filter (where q.status = 'processing') as processing,
      count(*) filter (where q.status = 'retry') as retry,
      -- a row of an hourly or daily connection waits from its slot on
      min(q.scheduled_at) as oldest,
      row_number() over (order by count(*) desc, q.integration_id) as place
    from public.sync_queue as q
    where q.completed_at is null
    group by q.integration_id
  )
  select
    s.integration_id, s.provider, s.connection_state, sum(s.pending)::bigint, sum(s.processing)::bigint, sum(s.retry)::bigint,
    greatest(extract(epoch from clock_timestamp() - min(s.oldest)), 0)::double precision
  from (
    select
      case when o.place <= p_most then o.integration_id end as integration_id, p.name as provider,
      crm_sync.connection_state(i.status, l) as connection_state, o.pending, o.processing, o.retry, o.oldest
    from open as o
    join public.user_integrations as i on i.id = o.integration_id
    join public.integration_providers as p on p.id = i.provider_id
    join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
  ) as s
  group by s.integration_id, s.provider, s.connection_state
$$;
comment on function crm_sync.queue_depths(integer) is
  'Worker: for the metrics: the open rows of the connections that have most of them, and how many seconds ago the oldest was due; the other connections are summed by provider and state, with a null for the connection.';
