-- What was in force when the retention begins stays, however old: it is what crm_sync.settings_at() begins with. A few pages at
-- a time, at random, so that every page has its turn: much of what is old may have to stay.
create or replace function crm_sync.purge_changes() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_before timestamptz := now() - (select c.retain_changes from crm_sync.config as c);
  v_block integer := floor(random() * pg_catalog.pg_relation_size('crm_sync.changes') / current_setting('block_size')::integer);
  v_count integer;
begin
  delete from crm_sync.changes as d
  where d.id = any (array(
    select c.id from crm_sync.changes as c
    where c.ctid >= format('(%s,0)', v_block)::tid and c.ctid < format('(%s,0)', v_block + 50)::tid
      and c.changed_at < v_before
      and (
        c.action = 'delete'
        or exists (
          select from crm_sync.changes as n
          where n.what = c.what and n.key = c.key and n.organization_id = c.organization_id and n.id > c.id and n.changed_at < v_before
        )
        or c.organization_id is null and exists (
          select from crm_sync.changes as n
          where n.what = c.what and n.key = c.key and n.organization_id is null and n.id > c.id and n.changed_at < v_before
        )
      )
    for update of c skip locked -- nobody's open transaction holds up the purge
  ));
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function crm_sync.purge_changes() is 'Worker: deletes what crm_sync.changes says of settings past retain_changes, but for what was in force then.';
