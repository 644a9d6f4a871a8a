-- What crm_sync.pauses says is carried to the lanes, where people and the search for work look. Nobody waits here for a transaction
-- that somebody has forgotten to end, or one tenant could keep an operator from pausing everything: claims and calls ask
-- crm_sync.pauses as well, and heal_pauses comes back to the lanes that were left.
create or replace function crm_sync.settle_pauses(p_integration_ids bigint[]) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_begun timestamptz := clock_timestamp();
  v_claimed_at timestamptz;
  v_id bigint;
  v_free bigint[];
  v_changed bigint[];
begin
  v_free := array(select l.integration_id from crm_sync.lanes as l where l.integration_id = any (p_integration_ids) order by l.integration_id for no key update skip locked);
  foreach v_id in array p_integration_ids loop
    exit when cardinality(v_free) = cardinality(p_integration_ids) or clock_timestamp() > v_begun + interval '2 seconds';
    if v_id <> all (v_free) and crm_sync.lock_lane(v_id) then
      v_free := v_free || v_id;
    end if;
  end loop;
  select max(b.claimed_at) into v_claimed_at from crm_sync.batches as b where b.integration_id = any (p_integration_ids);
  with changed as (
    update crm_sync.lanes as l
    set paused_at = w.paused_at, paused_by = w.paused_by, paused_scope = w.scope, paused_reason = w.reason
    from (
      select i.organization_id, i.id, p.paused_at, p.paused_by, p.scope, p.reason
      from public.user_integrations as i
      left join lateral crm_sync.find_pause(i.organization_id, i.id, i.provider_id) as p on true
      where i.id = any (v_free)
      offset 0
    ) as w
    join crm_sync.lanes as was on was.organization_id = w.organization_id and was.integration_id = w.id
    where l.organization_id = w.organization_id and l.integration_id = w.id
      and (l.paused_at, l.paused_by, l.paused_scope, l.paused_reason) is distinct from (w.paused_at, w.paused_by, w.scope, w.reason)
    returning l.integration_id, (was.paused_at is null) <> (l.paused_at is null) as is_turned
  )
  select coalesce(array_agg(c.integration_id) filter (where c.is_turned), '{}') into v_changed from changed as c;
  -- a call that was paid with its claim is made without asking again, within a tenth of a second: let that pass, so that
  -- whoever has paused knows that nothing is sent any more
  if cardinality(v_changed) > 0 and v_claimed_at > clock_timestamp() - interval '0.2 seconds' then
    perform pg_catalog.pg_sleep(extract(epoch from v_claimed_at + interval '0.2 seconds' - clock_timestamp()));
  end if;
  return v_changed;
end;
$$;
comment on function crm_sync.settle_pauses(bigint[]) is 'Operator: brings the lanes of connections in line with the pauses there are; returns those that stopped or go on with it.';
