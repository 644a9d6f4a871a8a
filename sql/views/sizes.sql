create or replace view crm_sync.sizes with (security_invoker = true) as
select
  coalesce(h.inhparent, c.oid)::regclass::text as object,
  case when h.inhparent is null then 'table' else 'partitioned table' end as kind,
  sum(greatest(c.reltuples, 0))::bigint as rows_estimate,
  sum(s.table_bytes)::bigint as table_bytes,
  sum(s.index_bytes)::bigint as index_bytes,
  sum(s.table_bytes + s.index_bytes)::bigint as total_bytes,
  coalesce(sum(pg_stat_get_dead_tuples(c.oid)), 0)::bigint as dead_rows,
  max(greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid))) as last_vacuum,
  count(*) as parts
from pg_catalog.pg_class as c
left join pg_catalog.pg_inherits as h on h.inhrelid = c.oid
-- each file is looked at once, however often its size is named
cross join lateral (select pg_table_size(c.oid) as table_bytes, pg_indexes_size(c.oid) as index_bytes offset 0) as s
where c.relkind = 'r' and (
  c.relnamespace = 'crm_sync'::regnamespace
  or (c.relnamespace = 'public'::regnamespace and (
    c.relname in ('integration_providers', 'user_integrations', 'contact_sync_mappings', 'sync_queue') or h.inhparent = 'public.sync_activity_logs'::regclass
  ))
)
group by 1, 2;
comment on view crm_sync.sizes is 'Reader: how large each table of ours is, with its indexes, its partitions together, and how much of it waits for a vacuum; from the catalogs, no row is counted.';
comment on column crm_sync.sizes.object is 'The table.';
comment on column crm_sync.sizes.kind is 'table, or partitioned table: all its partitions together.';
comment on column crm_sync.sizes.rows_estimate is 'How many rows the last vacuum or analyze found.';
comment on column crm_sync.sizes.table_bytes is 'Its size on disk without indexes.';
comment on column crm_sync.sizes.index_bytes is 'The size of its indexes on disk.';
comment on column crm_sync.sizes.total_bytes is 'Both together.';
comment on column crm_sync.sizes.dead_rows is 'Versions of rows that a vacuum has to clear away; a replica does not know and says 0.';
comment on column crm_sync.sizes.last_vacuum is 'When it, or one of its partitions, was vacuumed last; null on a replica.';
comment on column crm_sync.sizes.parts is 'How many tables that is.';
