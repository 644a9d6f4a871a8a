create or replace function crm_sync.option_words(p_options jsonb) returns jsonb
language plpgsql immutable parallel safe strict
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(
      jsonb_object_agg(lower(o.option ->> 'label'), o.option ->> 'value') || jsonb_object_agg(lower(o.option ->> 'value'), o.option ->> 'value'), '{}'
    )
    from jsonb_array_elements(p_options) as o (option)
    where o.option ->> 'label' is not null and o.option ->> 'value' is not null
  );
end;
$$;
comment on function crm_sync.option_words(jsonb) is 'Worker: the values that a field of the CRM may have, by what people call them and by themselves, in lower case.';
