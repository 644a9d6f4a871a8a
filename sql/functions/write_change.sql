-- An entry for each change, until an organization has made 200 within a day: from then on the changes of one thing are one entry a day,
-- from the first one's old to the last one's new.
create or replace function crm_sync.write_change(p_arguments text[], p_old jsonb, p_new jsonb, p_changed_by text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_row jsonb := coalesce(p_new, p_old);
  v_organization_id uuid := v_row ->> 'organization_id';
  v_key text := coalesce(v_row ->> p_arguments[2], p_arguments[1]);
  v_name text := concat_ws('/', (select p.name from public.integration_providers as p where p.id = (v_row ->> 'provider_id')::bigint),
    coalesce(v_row ->> p_arguments[3], p_arguments[1]));
  v_changed_by text := coalesce(p_changed_by, crm_sync.caller_name());
  v_old jsonb := crm_sync.picked_settings(p_old, p_arguments[4:]);
  v_new jsonb := crm_sync.picked_settings(p_new, p_arguments[4:]);
  v_difference jsonb;
  v_last crm_sync.changes;
begin
  -- with the organization all that is written of it is erased
  if v_organization_id is not null and not exists (select from public.organizations as o where o.id = v_organization_id) then
    return;
  end if;
  -- compared as they are, and blanked then: that a secret has changed is no secret
  select coalesce(jsonb_object_agg(d.path,
    case when d.before is null then '{}' else jsonb_build_object('before', case when s.is_secret then '"[secret]"' else d.before end) end
    || case when d.after is null then '{}' else jsonb_build_object('after', case when s.is_secret then '"[secret]"' else d.after end) end), '{}')
  into v_difference
  from crm_sync.json_difference(coalesce(v_old, '{}'), coalesce(v_new, '{}')) as d
  cross join lateral (
    select crm_sync.holds_secret(d.path, coalesce(d.before, 'null')) or crm_sync.holds_secret(d.path, coalesce(d.after, 'null'))
      or exists (select from regexp_split_to_table(d.path, '[."]+') as k (part) where crm_sync.holds_secret(k.part, null)) as is_secret
  ) as s;
  v_old := crm_sync.blanked_settings(v_old);
  v_new := crm_sync.blanked_settings(v_new);

  if v_organization_id is not null and (
    select c.changed_at from crm_sync.changes as c where c.organization_id = v_organization_id order by c.id desc offset 199 limit 1
  ) > clock_timestamp() - interval '1 day' then
    select * into v_last
    from crm_sync.changes as c
    where c.what = p_arguments[1] and c.key = v_key and c.organization_id = v_organization_id
    order by c.id desc
    limit 1;
  end if;
  if coalesce(v_last.first_changed_at, v_last.changed_at) > clock_timestamp() - interval '1 day' then
    v_old := nullif(v_last.old, '{}');
    select x.secrets || coalesce(jsonb_object_agg(d.path,
      case when d.before is null then '{}' else jsonb_build_object('before', d.before) end
      || case when d.after is null then '{}' else jsonb_build_object('after', d.after) end) filter (where d.path is not null), '{}')
    into v_difference
    from (
      select coalesce(jsonb_object_agg(e.key, e.value), '{}') as secrets
      from jsonb_each(v_last.difference || v_difference) as e
      where '"[secret]"' in (e.value -> 'before', e.value -> 'after')
    ) as x
    left join crm_sync.json_difference(coalesce(v_old, '{}'), coalesce(v_new, '{}')) as d on true
    group by x.secrets;
    update crm_sync.changes as c
    set changed_at = clock_timestamp(), changed_by = v_changed_by, login = session_user, application_name = coalesce(current_setting('application_name', true), ''),
      name = v_name,
      action = case when v_new is null then 'delete' when v_old is null then 'insert' else 'update' end,
      old = case when v_new is null then coalesce(v_old, '{}') else v_old end,
      new = v_new,
      difference = v_difference,
      changes = c.changes + 1,
      first_changed_at = coalesce(c.first_changed_at, c.changed_at),
      others = (
        select array_agg(distinct o.who order by o.who) from unnest(c.others || c.changed_by) as o (who) where o.who <> v_changed_by
      )
    where c.id = v_last.id;
    return;
  end if;
  insert into crm_sync.changes (changed_by, organization_id, integration_id, what, key, name, action, old, new, difference)
  values (v_changed_by, v_organization_id, case when p_arguments[1] = 'connection' then v_row ->> 'id' else v_row ->> 'integration_id' end::bigint,
    p_arguments[1], v_key, v_name, case when p_old is null then 'insert' when p_new is null then 'delete' else 'update' end, v_old, v_new, v_difference);
end;
$$;
comment on function crm_sync.write_change(text[], jsonb, jsonb, text) is
  'Trigger: makes one entry of crm_sync.changes; the arguments are the kind, the columns of key and name, then the columns that are settings (none: all).';
