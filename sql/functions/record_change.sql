-- One for all tables of settings. Its arguments: what the settings are of, the column that tells things of this kind apart within
-- their organization, the column that people know them by, and the columns that are settings; none of these: all.
create or replace function crm_sync.record_change() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_arguments text[] := tg_argv;
  v_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  v_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
begin
  v_arguments := array(select u.argument from unnest(v_arguments) with ordinality as u (argument, place) order by u.place); -- counted from 1
  if tg_op = 'UPDATE' and (v_old ->> v_arguments[2], v_old ->> 'organization_id') is distinct from (v_new ->> v_arguments[2], v_new ->> 'organization_id') then
    perform crm_sync.write_change(v_arguments, v_old, null);
    perform crm_sync.write_change(v_arguments, null, v_new);
  else
    perform crm_sync.write_change(v_arguments, v_old, v_new);
  end if;
  return null;
end;
$$;
comment on function crm_sync.record_change() is 'Trigger: writes to crm_sync.changes who changed which setting, from what to what.';
