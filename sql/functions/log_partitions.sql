-- By their bounds, not by their names: months of an earlier version lie beside days and weeks.
create or replace function crm_sync.log_partitions() returns table (partition regclass, begins_at timestamptz, ends_at timestamptz)
language plpgsql stable rows 20
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO'
set timezone = 'UTC'
as $$
#variable_conflict use_column
begin
  return query
  select c.oid::regclass, replace(b.bounds[1], 'MINVALUE', '-infinity')::timestamptz, replace(b.bounds[2], 'MAXVALUE', 'infinity')::timestamptz
  from pg_catalog.pg_inherits as h
  join pg_catalog.pg_class as c on c.oid = h.inhrelid
  cross join lateral regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \(''?(.*?)''?\) TO \(''?(.*?)''?\)$') as b (bounds)
  where h.inhparent = 'public.sync_activity_logs'::regclass and b.bounds is not null;
end;
$$;
comment on function crm_sync.log_partitions() is 'Worker: the activity log''s partitions and what time each is for; without the default one.';
