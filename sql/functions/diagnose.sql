create or replace function crm_sync.diagnose()
returns table (severity text, area text, subject text, finding text, what_to_do text, integration_id bigint, organization_id uuid)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
begin
  return query
  with findings as materialized (
    select * from crm_sync.diagnose_work()
    union all
    select * from crm_sync.diagnose_catalog()
    union all
    select * from crm_sync.diagnose_server()
  )
  select d.severity, d.area, d.subject, d.finding, d.what_to_do, d.integration_id, d.organization_id
  from (
    select * from findings
    union all
    select 'ok', a.area, a.area, a.words, 'Nothing.', null, null
    from (values
      ('workers', 'no daemon is missing'), ('versions', 'versions go together'), ('clock', 'clocks agree, and nothing lies in the future'),
      ('connections', 'no connection waits for anybody'), ('mappings', 'mappings go with what the CRMs have'), ('queue', 'nothing has failed or lost its message'),
      ('keys', 'one key seals all credentials'), ('fence', 'this database may write to the CRMs'), ('indexes', 'all indexes are there and valid'),
      ('vacuum', 'tables are vacuumed'), ('log', 'the log has its partitions'), ('sessions', 'nobody holds up the vacuum'), ('settings', 'what is committed is safe')
    ) as a (area, words)
    where a.area <> all (select f.area from findings as f)
  ) as d
  order by array_position(array['error', 'warning', 'info', 'ok'], d.severity), d.area, d.subject, d.integration_id, d.finding;
end;
$$;
comment on function crm_sync.diagnose() is
  'Reader: what is wrong or worth a word, the worst first, each with what to do: workers, versions, clock, connections, mappings, rows, keys, indexes, vacuum, log, sessions, settings; ok for each area in which there is nothing.';
