-- As lane_counts: what is few is looked at now, what is much is taken from the last tally. Whoever calls this says whose; null is all.
create or replace function crm_sync.causes_of(p_integration_id bigint, p_organization_ids uuid[])
returns table (
  organization_id uuid, integration_id bigint, kind text, queue_type text, code text, field text, message text, count bigint, retrying bigint,
  first_at timestamptz, last_at timestamptz, newest_id bigint, contact_id uuid, message_id uuid, is_rest boolean, counted_at timestamptz
)
language plpgsql stable rows 100
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_lanes record;
begin
  select array_agg(l.integration_id) filter (where v.is_plain) as plain, array_agg(l.integration_id) filter (where v.is_plain is not true) as others into v_lanes
  from crm_sync.lanes as l
  left join crm_sync.tallies as t
    on t.organization_id = l.organization_id and t.integration_id = l.integration_id and t.counted_at > l.recount_at and t.believed_until > now()
  cross join lateral (select t.failed_causes is not null and cardinality(t.retrying_causes) = 0 as is_plain) as v
  where (p_integration_id is null or l.integration_id = p_integration_id)
    and (p_organization_ids is null or l.organization_id = any (p_organization_ids));
  -- most connections of which much has failed: all is counted and nothing is to be tried again, so each cause is there once
  return query
  select t.organization_id, t.integration_id, c.kind, c.queue_type, c.code, c.field, c.message, c.count, c.retrying, c.first_at, c.last_at,
    c.newest_id, c.contact_id, c.message_id, c.is_rest, t.counted_at
  from crm_sync.tallies as t
  cross join lateral unnest(t.failed_causes) as c
  where t.integration_id = any (v_lanes.plain);
  if v_lanes.others is null then
    return;
  end if;
  return query
  with lanes as materialized (
    select l.organization_id, l.integration_id, t.retrying_causes, t.failed_causes, coalesce(t.counted_at, now()) as counted_at
    from crm_sync.lanes as l
    left join crm_sync.tallies as t
      on t.organization_id = l.organization_id and t.integration_id = l.integration_id and t.counted_at > l.recount_at and t.believed_until > now()
    where l.integration_id = any (v_lanes.others)
  ),
  found as (
    select l.organization_id, l.integration_id, l.counted_at, c.*
    from lanes as l
    cross join lateral crm_sync.retrying_causes(l.organization_id, l.integration_id) as c
    where l.retrying_causes is null
    union all
    select l.organization_id, l.integration_id, l.counted_at, c.*
    from lanes as l
    cross join lateral crm_sync.failed_causes(l.organization_id, l.integration_id) as c
    where l.failed_causes is null
    union all
    select l.organization_id, l.integration_id, l.counted_at, c.*
    from lanes as l
    cross join lateral unnest(l.retrying_causes || l.failed_causes) as c
  )
  select f.organization_id, f.integration_id, f.kind, f.queue_type, f.code, f.field, (array_agg(f.message order by f.newest_id desc))[1],
    sum(f.count)::bigint, sum(f.retrying)::bigint, min(f.first_at), max(f.last_at), max(f.newest_id),
    (array_agg(f.contact_id order by f.newest_id desc))[1], (array_agg(f.message_id order by f.newest_id desc))[1], f.is_rest, min(f.counted_at)
  from found as f
  group by f.organization_id, f.integration_id, f.kind, f.queue_type, f.code, f.field, f.is_rest,
    case when f.code is null or f.field is null then f.message end;
end;
$$;
comment on function crm_sync.causes_of(bigint, uuid[]) is
  'Worker: why rows of each connection, or of one, of these organizations failed or are to be tried again; null is all organizations.';
