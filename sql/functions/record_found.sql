-- The triggers know what the settings of each table are.
create or replace function crm_sync.record_found() returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_table record;
  v_count bigint;
  v_total bigint := 0;
begin
  for v_table in
    select distinct on (t.tgrelid) t.tgrelid::regclass as name,
      array_remove(string_to_array(encode(t.tgargs, 'escape'), '\000'), '') as arguments
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    where p.pronamespace = 'crm_sync'::regnamespace and p.proname = 'record_change' and not t.tgisinternal
    order by t.tgrelid, t.tgname
  loop
    execute format('
      select count(crm_sync.write_change($1, null, to_jsonb(t), ''found when the audit began''))
      from %s as t
      cross join lateral (select to_jsonb(t) as row) as j
      cross join lateral (select coalesce(j.row ->> $1[2], $1[1]) as key, (j.row ->> ''organization_id'')::uuid as organization_id) as k
      where case when k.organization_id is null
        then not exists (select from crm_sync.changes as c where c.what = $1[1] and c.key = k.key and c.organization_id is null)
        else not exists (select from crm_sync.changes as c where c.what = $1[1] and c.key = k.key and c.organization_id = k.organization_id)
      end', v_table.name)
    into v_count using v_table.arguments;
    v_total := v_total + v_count;
  end loop;
  return v_total;
end;
$$;
comment on function crm_sync.record_found() is 'Operator: writes down in crm_sync.changes what is in force of all settings that have no entry yet; returns how many.';
