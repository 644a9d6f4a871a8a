create or replace function crm_sync.write_change(p_arguments text[], p_old jsonb, p_new jsonb, p_changed_by text default null) returns void
language plpgsql
set search_path = ''
as $$
declare
  v_row jsonb := coalesce(p_new, p_old);
  v_organization_id uuid := v_row ->> 'organization_id';
  v_old jsonb := crm_sync.picked_settings(p_old, p_arguments[4:]);
  v_new jsonb := crm_sync.picked_settings(p_new, p_arguments[4:]);
begin
  -- with the organization all that is written of it is erased
  if v_organization_id is not null and not exists (select from public.organizations as o where o.id = v_organization_id) then
    return;
  end if;
  insert into crm_sync.changes (changed_by, organization_id, integration_id, what, key, name, action, old, new, difference)
  select
    coalesce(p_changed_by, crm_sync.caller_name()),
    v_organization_id,
    case when p_arguments[1] = 'connection' then v_row ->> 'id' else v_row ->> 'integration_id' end::bigint,
    p_arguments[1],
    coalesce(v_row ->> p_arguments[2], p_arguments[1]),
    concat_ws('/', (select p.name from public.integration_providers as p where p.id = (v_row ->> 'provider_id')::bigint),
      coalesce(v_row ->> p_arguments[3], p_arguments[1])),
    case when p_old is null then 'insert' when p_new is null then 'delete' else 'update' end,
    crm_sync.blanked_settings(v_old),
    crm_sync.blanked_settings(v_new),
    coalesce((
      -- compared as they are, and blanked then: that a secret has changed is no secret
      select jsonb_object_agg(d.path,
        case when d.before is null then '{}' else jsonb_build_object('before', case when s.is_secret then '"[secret]"' else d.before end) end
        || case when d.after is null then '{}' else jsonb_build_object('after', case when s.is_secret then '"[secret]"' else d.after end) end)
      from crm_sync.json_difference(coalesce(v_old, '{}'), coalesce(v_new, '{}')) as d
      cross join lateral (
        select crm_sync.holds_secret(d.path, coalesce(d.before, 'null')) or crm_sync.holds_secret(d.path, coalesce(d.after, 'null'))
          or exists (select from regexp_split_to_table(d.path, '[."]+') as k (part) where crm_sync.holds_secret(k.part, null)) as is_secret
      ) as s
    ), '{}');
end;
$$;
comment on function crm_sync.write_change(text[], jsonb, jsonb, text) is
  'Trigger: makes one entry of crm_sync.changes; the arguments are the kind, the columns of key and name, then the columns that are settings (none: all).';
