create or replace function crm_sync.filter_fault(p_filters jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select format('contacts has no column %s: there are %s', to_jsonb(c.name), array_to_string(o.names[:60], ', ')
    || case when cardinality(o.names) > 60 then format(' and %s more', cardinality(o.names) - 60) else '' end)
  from (
    select substr(c.condition ->> 'field', 9) as name
    from jsonb_each(p_filters) as g
    cross join lateral jsonb_array_elements(g.value) as c (condition)
    where starts_with(c.condition ->> 'field', 'contact.')
  ) as c
  cross join (select crm_sync.our_fields('company') as names) as o
  where c.name <> all (o.names)
  limit 1
$$;
comment on function crm_sync.filter_fault(jsonb) is 'Trigger: the column of contacts that filters name and that is not there, in plain words; null when all are.';
