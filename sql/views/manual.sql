-- Straight from the catalogs, so nothing can be forgotten: what is ours is what crm_sync_owner owns, and what hangs on it. Whoever
-- asks for one object has all names compared and only that one described: names are put together with ||, which is several times
-- cheaper than format(), and the server's own thousands of functions lie below the first oid of a user's object, 16384.
-- Functions and views say themselves whom they are for, by the first word of their comment; of the rest it follows from who may
-- do what.
create or replace view crm_sync.manual with (security_invoker = true) as
with own as materialized (
  select c.oid, c.relname, c.relkind, c.relacl, c.reltype, n.nspname, n.nspname::text || '.' || c.relname as object
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where n.nspname in ('crm_sync', 'public') and c.relkind in ('r', 'p', 'v', 'i', 'I', 'S', 'c') and not c.relispartition
    and (n.nspname = 'crm_sync' or c.relowner = (select r.oid from pg_catalog.pg_roles as r where r.rolname = 'crm_sync_owner'))
),
-- these two are part of the query that asks
relations as not materialized (
  select o.*, d.description as comment,
    case when o.relkind = 'v' then split_part(d.description, ':', 1)
      when has_any_column_privilege('crm_sync_reader', o.oid, 'select') then 'Reader' else 'Worker' end as mark,
    o.relkind = 'v' or has_table_privilege('crm_sync_reader', o.oid, 'select') as is_shared
  from own as o
  left join pg_catalog.pg_description as d on d.objoid = o.oid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = 0
  where o.relkind in ('r', 'p', 'v')
),
objects as not materialized (
  select n.nspname::text as object, 'schema' as kind, 'Reader' as mark, null::text as arguments, null::text as returns,
    obj_description(n.oid, 'pg_namespace') as comment, n.nspacl as rights, 1 as place
  from pg_catalog.pg_namespace as n
  where n.nspname = 'crm_sync' or (n.nspname = 'auth' and obj_description(n.oid, 'pg_namespace') like '%pg-crm-sync%')
  union all
  select r.rolname::text, 'role',
    case r.rolname when 'crm_sync_owner' then 'Operator' when 'crm_sync_reader' then 'Reader' when 'crm_sync_console' then 'Console'
      when 'crm_sync_producer' then 'Trigger' else 'Worker' end,
    null, null, pg_catalog.shobj_description(r.oid, 'pg_authid'), null, 2
  from pg_catalog.pg_roles as r
  where r.rolname in ('crm_sync_owner', 'crm_sync_daemon', 'crm_sync_producer', 'crm_sync_reader', 'crm_sync_console')
  union all
  select r.object, case when r.relkind = 'v' then 'view' else 'table' end, r.mark, null, null, r.comment,
    r.relacl || array(select u.right_of_column from pg_catalog.pg_attribute as a cross join unnest(a.attacl) as u (right_of_column) where a.attrelid = r.oid and a.attacl is not null),
    case when r.relkind = 'v' then 4 else 3 end
  from relations as r
  union all
  select r.object || '.' || a.attname, 'column',
    case when r.relkind = 'v' or a.attacl is null and r.is_shared then r.mark when a.attacl::text ~ '[{,]crm_sync_reader=' then 'Reader' else 'Worker' end,
    null, pg_catalog.format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end, col_description(r.oid, a.attnum), r.relacl || a.attacl, 5
  from relations as r
  cross join lateral (
    select a.* from pg_catalog.pg_attribute as a where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped offset 0 -- of each by the index
  ) as a
  union all
  select 'crm_sync.' || p.proname, 'function', split_part(d.description, ':', 1),
    pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.pg_get_function_result(p.oid), d.description, p.proacl, 6
  from pg_catalog.pg_proc as p
  left join pg_catalog.pg_description as d on d.objoid = p.oid and d.classoid = 'pg_catalog.pg_proc'::regclass and d.objsubid = 0
  where (p.pronamespace = 'crm_sync'::regnamespace) is true and p.oid >= 16384
  union all
  select t.tgname || ' on ' || t.tgrelid::regclass, 'trigger', 'Trigger',
    regexp_replace(pg_catalog.pg_get_triggerdef(t.oid), '^CREATE .*?TRIGGER \S+ ', ''), null, obj_description(t.oid, 'pg_trigger'), null, 7
  from pg_catalog.pg_trigger as t
  join pg_catalog.pg_proc as p on p.oid = t.tgfoid and p.pronamespace = 'crm_sync'::regnamespace
  join pg_catalog.pg_class as c on c.oid = t.tgrelid and not c.relispartition
  where not t.tgisinternal
  union all
  select o.object, 'index', r.mark,
    regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX \S+ ', '\1'), null, obj_description(i.indexrelid, 'pg_class'), null, 8
  from own as o
  join pg_catalog.pg_index as i on i.indexrelid = o.oid
  join relations as r on r.oid = i.indrelid
  where o.relkind in ('i', 'I')
  union all
  select k.conname || ' on ' || r.object, 'constraint', r.mark, pg_catalog.pg_get_constraintdef(k.oid), null, obj_description(k.oid, 'pg_constraint'), null, 9
  from relations as r
  join pg_catalog.pg_constraint as k on k.conrelid = r.oid and k.contype in ('p', 'u', 'f', 'c', 'x')
  union all
  select o.polname || ' on ' || o.polrelid::regclass, 'policy',
    case when v.roles && array['crm_sync_reader']::name[] then 'Reader' when v.roles && array['authenticated']::name[] then 'Operator'
      when v.roles && array['crm_sync_producer']::name[] then 'Trigger' else 'Worker' end,
    format('for %s to %s', case o.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end, array_to_string(v.roles, ', ')),
    null, obj_description(o.oid, 'pg_policy'), null, 10
  from pg_catalog.pg_policy as o
  join pg_catalog.pg_class as c on c.oid = o.polrelid and not c.relispartition
  cross join lateral (select array(select r.rolname from pg_catalog.pg_roles as r where r.oid = any (o.polroles) order by r.rolname) as roles offset 0) as v
  where o.polrelid in (select r.oid from own as r where r.relkind in ('r', 'p', 'v')) or o.polname like 'crm\_sync\_%'
  union all
  select o.object, 'sequence', 'Worker', null, null, obj_description(o.oid, 'pg_class'), o.relacl, 11
  from own as o
  where o.nspname = 'crm_sync' and o.relkind = 'S'
  union all
  select o.object, 'type', 'Worker', null, null, obj_description(t.oid, 'pg_type'), t.typacl, 12
  from own as o
  join pg_catalog.pg_type as t on t.oid = o.reltype
  where o.nspname = 'crm_sync' and o.relkind = 'c'
),
rights as (
  -- few are the combinations of rights, many the objects
  select a.rights, a.is_column, array(
    select distinct pg_catalog.pg_get_userbyid(g.grantee)::text
    from pg_catalog.aclexplode(a.rights::aclitem[]) as g
    where g.grantee <> 0 and pg_catalog.pg_get_userbyid(g.grantee) <> 'crm_sync_owner'
      and not (a.is_column and g.privilege_type in ('DELETE', 'TRUNCATE', 'TRIGGER', 'MAINTAIN'))
    order by 1
  ) as used_by
  from (select distinct o.rights::text as rights, o.kind = 'column' as is_column from objects as o where o.rights is not null) as a
)
select o.object, o.kind, o.mark, o.arguments, o.returns,
  regexp_replace(o.comment, '^(Worker|Operator|Reader|Trigger|Console): ', '') as comment,
  coalesce(r.used_by, '{}') as used_by
from objects as o
left join rights as r on r.rights = o.rights::text and r.is_column = (o.kind = 'column')
order by o.place, o.object, o.arguments;
comment on view crm_sync.manual is 'Reader: every object of pg-crm-sync with what it is for, for whom, how it is called and who may use it.';
comment on column crm_sync.manual.object is 'Its name; of a trigger, policy or constraint also what it is on.';
comment on column crm_sync.manual.kind is 'schema, role, table, view, column, function, trigger, index, constraint, policy, sequence or type.';
comment on column crm_sync.manual.mark is 'For whom it is. Worker: the daemon; Operator: people who act; Reader: people who look; Trigger: works by itself; Console: the web console.';
comment on column crm_sync.manual.arguments is 'Of a function its arguments; of a trigger, index, constraint or policy when, on what and for whom it works.';
comment on column crm_sync.manual.returns is 'What a function returns; the type of a column.';
comment on column crm_sync.manual.comment is 'What it is for, in a sentence.';
comment on column crm_sync.manual.used_by is 'Roles that were given a right on it.';
