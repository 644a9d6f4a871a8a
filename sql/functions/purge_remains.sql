create or replace function crm_sync.purge_remains(p_limit integer default 1000) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_config crm_sync.config := (select c from crm_sync.config as c);
  v_strays bigint[];
  v_block integer;
  v_count integer;
  v_total integer := 0;
begin
  -- rows that a producer committed while their connection was being deleted: no lane leads to them any more
  v_strays := array(
    with recursive open as (
      (select q.integration_id from public.sync_queue as q where q.completed_at is null and q.batch_id is null order by q.integration_id, q.contact_id limit 1)
      union all
      select (
        select q.integration_id from public.sync_queue as q
        where q.completed_at is null and q.batch_id is null and q.integration_id > o.integration_id
        order by q.integration_id, q.contact_id limit 1
      )
      from open as o
      where o.integration_id is not null
    )
    select o.integration_id from open as o
    where o.integration_id is not null and not exists (select from public.user_integrations as i where i.id = o.integration_id)
  );
  if cardinality(v_strays) > 0 then
    delete from public.sync_queue as q where q.integration_id = any (v_strays) and q.completed_at is null and q.batch_id is null;
    get diagnostics v_total = row_count;
  end if;

  delete from crm_sync.orphans as o
  where o.classification_id in (
    select x.classification_id from crm_sync.orphans as x where x.seen_at < now() - v_config.retain_finished limit p_limit for update skip locked
  );
  get diagnostics v_count = row_count;
  v_total := v_total + v_count;

  delete from crm_sync.authorizations as a
  where a.expires_at < now() - interval '1 day' and a.state_hash in (
    select x.state_hash from crm_sync.authorizations as x where x.expires_at < now() - interval '1 day' limit p_limit for update skip locked
  );
  get diagnostics v_count = row_count;
  v_total := v_total + v_count;

  -- the log of a time that had no partition of its own
  delete from public.sync_activity_logs_default as d
  where d.ctid = any (array(
    select x.ctid from public.sync_activity_logs_default as x
    where x.created_at < now() - v_config.retain_logs
    order by x.created_at
    limit p_limit
    for update skip locked
  ));
  get diagnostics v_count = row_count;
  v_total := v_total + v_count;

  -- what was made in the CRM for contacts that the host application has erased since, which took their mappings along: a few
  -- pages at a time, at random, so that every page has its turn
  v_block := floor(random() * pg_catalog.pg_relation_size('crm_sync.effects') / current_setting('block_size')::integer);
  delete from crm_sync.effects as e
  where e.ctid >= format('(%s,0)', v_block)::tid and e.ctid < format('(%s,0)', v_block + 50)::tid
    and e.contact_id is not null and e.created_at < now() - v_config.retain_finished
    and not exists (
      select from public.contact_sync_mappings as m
      where m.organization_id = e.organization_id and m.integration_id = e.integration_id and m.contact_id = e.contact_id
    );
  get diagnostics v_count = row_count;
  return v_total + v_count + crm_sync.purge_changes();
end;
$$;
comment on function crm_sync.purge_remains(integer) is
  'Worker: deletes what is left over and past its retention: rows of deleted connections, orphans, authorizations, log entries of the default partition, effects of erased contacts, old entries of crm_sync.changes; call it until it returns 0.';
