create or replace function crm_sync.option_ranks(p_options jsonb) returns jsonb
language plpgsql immutable parallel safe strict
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    -- a choice of the CRM's goes forward in the order in which people see its options
    select jsonb_agg(jsonb_build_array(o.option ->> 'value') order by o.place)
    from jsonb_array_elements(p_options) with ordinality as o (option, place)
  );
end;
$$;
comment on function crm_sync.option_ranks(jsonb) is 'Worker: the values of a field''s options, from the first to the last.';
