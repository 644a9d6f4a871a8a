create or replace function crm_sync.check_fence(p_generation bigint default null) returns bigint
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_fence crm_sync.fence := (select f from crm_sync.fence as f);
  v_here record;
begin
  select * into v_here from crm_sync.database_identity();
  if v_fence.is_only is null then
    raise exception using errcode = 'CS030', message = 'nobody has claimed this database',
      hint = 'If the CRMs are to be written from here: crm-sync claim-database';
  elsif (v_fence.system_identifier, v_fence.database_oid) is distinct from (v_here.system_identifier, v_here.database_oid) then
    raise exception using errcode = 'CS030', message = 'this database is a copy of the one that may write to the CRMs',
      detail = format('%s claimed database %s of cluster %s on %s; this is database %s of cluster %s', v_fence.claimed_by, v_fence.database_oid,
        coalesce(nullif(v_fence.system_identifier, ''), 'unknown'), to_char(v_fence.claimed_at at time zone 'utc', 'YYYY-MM-DD HH24:MI "UTC"'),
        v_here.database_oid, coalesce(nullif(v_here.system_identifier, ''), 'unknown')),
      hint = 'Nothing was sent. If the CRMs are to be written from here, and no daemon works on the original any more: crm-sync claim-database';
  elsif p_generation <> v_fence.generation then
    raise exception using errcode = 'CS031', message = 'this database has been claimed anew since this daemon started',
      hint = 'Start it again.';
  end if;
  return v_fence.generation;
end;
$$;
comment on function crm_sync.check_fence(bigint) is
  'Worker: the generation of the claim on this database; raises CS030 where it is a copy of what was claimed, CS031 where it was claimed since that generation.';
