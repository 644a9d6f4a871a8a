-- Objects are entered, at any depth; lists and other values are compared as a whole. A side that is not there is null, which is
-- another thing than a JSON null.
create or replace function crm_sync.json_difference(p_before jsonb, p_after jsonb) returns table (path text, before jsonb, after jsonb)
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  with recursive pairs as (
    select ''::text as path, p_before as before, p_after as after
    union all
    select concat_ws('.', nullif(p.path, ''), crm_sync.path_key(k.key)), p.before -> k.key, p.after -> k.key
    from pairs as p
    cross join lateral (
      select jsonb_object_keys(case when jsonb_typeof(p.before) = 'object' and jsonb_typeof(p.after) = 'object' then p.before else '{}' end)
      union
      select jsonb_object_keys(case when jsonb_typeof(p.before) = 'object' and jsonb_typeof(p.after) = 'object' then p.after else '{}' end)
    ) as k (key)
    where p.before -> k.key is distinct from p.after -> k.key
  )
  select p.path, p.before, p.after
  from pairs as p
  where p.before is distinct from p.after and (jsonb_typeof(p.before) = 'object' and jsonb_typeof(p.after) = 'object') is not true
$$;
comment on function crm_sync.json_difference(jsonb, jsonb) is 'Reader: the paths at which two documents differ, with both values; null where one has nothing.';
