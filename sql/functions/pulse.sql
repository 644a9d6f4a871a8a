create or replace function crm_sync.pulse() returns text
language sql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
  select md5(string_agg(concat_ws('|', o.id, o.newest, o.alerted, c.marks), '/' order by o.id))
  from (
    select m.id, (select max(q.id) from public.sync_queue as q where q.organization_id = m.id) as newest,
      (select max(a.changed_at) from crm_sync.alerts as a where a.organization_id = m.id) as alerted
    from crm_sync.member_organizations() as m (id)
  ) as o
  left join lateral (
    select string_agg(concat_ws('|', i.id, i.updated_at, l.synced, l.superseded, l.last_claimed_at, l.last_failure_at, l.parked_until, l.paused_at,
      l.described_at, l.search_all_at, e.created_at), '/' order by i.id) as marks
    from public.user_integrations as i
    join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
    left join lateral (
      select a.created_at from public.sync_activity_logs as a
      where a.organization_id = i.organization_id and a.integration_id = i.id
      order by a.created_at desc
      limit 1
    ) as e on true
    where i.organization_id = o.id
  ) as c on true
$$;
comment on function crm_sync.pulse() is
  'Reader: a text that changes when anything changes of what the asking user may see; null for who is a member of nothing. Asked every second by the console.';
