-- Rows that failed, by what stopped them: the CRM's code and its field, else its words, which may quote a different value for
-- each row. Without settings of its own, so that the planner can put it into the query that asks: it runs as whoever asks.
create or replace function crm_sync.failed_causes(p_organization_id uuid, p_integration_id bigint)
returns table (
  kind text, queue_type text, code text, field text, message text, count bigint, retrying bigint, first_at timestamptz, last_at timestamptz,
  newest_id bigint, contact_id uuid, message_id uuid, is_rest boolean
)
language sql stable
as $$
  select g.kind, g.queue_type, g.code, g.field, e.last_error, g.count, 0::bigint, g.first_at, g.last_at, g.newest_id, e.contact_id, e.message_id, false
  from (
    select coalesce(q.failure ->> 'kind', 'other') as kind, q.queue_type, q.failure ->> 'code' as code, q.failure ->> 'field' as field, count(*) as count,
      min(coalesce(q.failing_since, q.completed_at)) as first_at, max(q.completed_at) as last_at, max(q.id) as newest_id
    from public.sync_queue as q
    where q.integration_id = p_integration_id and q.completed_at is not null and q.failure is not null and q.last_error is not null
    group by 1, 2, 3, 4, case when q.failure ->> 'code' is null or q.failure ->> 'field' is null then q.last_error end
  ) as g
  cross join lateral crm_sync.row_of(p_organization_id, g.newest_id) as e
$$;
comment on function crm_sync.failed_causes(uuid, bigint) is 'Reader: why rows of a connection failed, in groups of one cause; reads all of them.';
