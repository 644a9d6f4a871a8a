create or replace function crm_sync.option_list(p_options jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select string_agg(o.words, ', ' order by o.place) || case when jsonb_array_length(p_options) > 40 then format(' and %s more', jsonb_array_length(p_options) - 40) else '' end
  from (
    select o.place, to_jsonb(o.option ->> 'value')
      -- an id says nothing to people: its label goes with it
      || case when regexp_replace(lower(o.option ->> 'label'), '[^[:alnum:]]', '', 'g') <> regexp_replace(lower(o.option ->> 'value'), '[^[:alnum:]]', '', 'g')
          then format(' (%s)', o.option ->> 'label') else '' end as words
    from jsonb_array_elements(p_options) with ordinality as o (option, place)
    order by o.place
    limit 40
  ) as o
$$;
comment on function crm_sync.option_list(jsonb) is 'Reader: the options of a field of a CRM in words, at most 40 of them.';
