create or replace function crm_sync.purge_now(p_older_than interval, p_integration_id bigint default null, p_limit integer default 10000) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  v_before timestamptz;
  v_integration public.user_integrations;
  v_due record;
  v_total bigint := 0;
  v_held bigint[] := '{}';
  v_more bigint[];
  v_begun timestamptz := clock_timestamp();
  v_alive bigint[];
begin
  if p_older_than is null or p_older_than < interval '0' then
    raise exception using errcode = 'CS058', message = format('finished rows cannot be older than %s', coalesce(p_older_than::text, 'null')),
      hint = 'Give an interval like ''7 days''; ''0'' is all that is finished.';
  elsif p_limit is null or p_limit not between 1 and 100000 then
    raise exception using errcode = 'CS058', message = format('a call deletes 1 to 100000 rows, not %s', coalesce(p_limit::text, 'null')),
      hint = 'Call it again until it returns 0.';
  end if;
  v_before := now() - p_older_than;
  if p_integration_id is not null then
    v_integration := crm_sync.require_integration(p_integration_id);
  elsif not crm_sync.caller_is_operator() then
    raise exception using errcode = 'CS021', message = 'this is for operators: it concerns other organizations as well', hint = 'Name a connection.';
  end if;
  loop
    select array_agg(q.organization_id) as organization_ids, array_agg(q.id) as ids, array_agg(q.integration_id) as integration_ids
    into v_due
    from (
      (
        select q.organization_id, q.integration_id, q.id from public.sync_queue as q
        where p_integration_id is null and q.completed_at < v_before and (q.integration_id = any (v_held)) is not true
        order by q.completed_at
        limit p_limit
      )
      union all
      (
        -- by the key: there is no index on the age of one connection's rows, and ids rise with time
        select q.organization_id, q.integration_id, q.id from public.sync_queue as q
        where p_integration_id is not null and q.organization_id = v_integration.organization_id and q.integration_id = p_integration_id and q.completed_at < v_before
        order by q.id
        limit p_limit
      )
    ) as q;
    exit when v_due.ids is null;
    -- connection before lane; one that somebody is just changing is left alone
    v_alive := array(select i.id from public.user_integrations as i where i.id = any (v_due.integration_ids) order by i.id for key share skip locked);
    with deleted as (
      select d.*
      from (
        select array_agg(u.organization_id) as organization_ids, array_agg(u.id) as ids
        from unnest(v_due.organization_ids, v_due.ids, v_due.integration_ids) as u (organization_id, id, integration_id)
        where u.integration_id is null or u.integration_id = any (v_alive)
          or not exists (select from public.user_integrations as i where i.id = u.integration_id)
      ) as u
      cross join lateral crm_sync.delete_finished(u.organization_ids, u.ids, v_alive, v_before) as d
    ),
    noted as (
      insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
      select d.organization_id, d.integration_id, 'connection', 'info', 'Finished rows deleted',
        format('%s row(s) finished before %s UTC deleted by %s', d.rows, to_char(v_before at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'), crm_sync.caller_name())
      from deleted as d
      join public.user_integrations as i on i.organization_id = d.organization_id and i.id = d.integration_id
    )
    select coalesce(sum(d.rows), 0) into v_total from deleted as d;
    exit when v_total > 0;
    -- nothing of the page can be deleted now: somebody else holds its connections, and not those that are behind them
    v_more := array(select distinct u.id from unnest(v_due.integration_ids) as u (id) where u.id is not null and u.id <> all (v_held));
    v_held := v_held || v_more;
    exit when cardinality(v_more) = 0 or p_integration_id is not null or clock_timestamp() > v_begun + interval '5 seconds';
  end loop;
  if v_total = 0 and cardinality(v_held) > 0 then
    raise notice 'rows of % connection(s) were left, as somebody else holds them: try again later', cardinality(v_held);
  end if;
  return v_total;
end;
$$;
comment on function crm_sync.purge_now(interval, bigint, integer) is
  'Operator: deletes finished rows (completed, skipped and failed: those can not be retried any more) that are older than so much, of a connection or (null) of all, without waiting for their retention; up to p_limit a call, returns how many: call it again until it returns 0, and says so where it left rows that somebody else holds.';
