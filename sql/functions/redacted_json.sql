-- Text by text: blanked as a whole, a number or the end of a text would take the form of the document along.
create or replace function crm_sync.redacted_json(p_document jsonb, p_pattern text) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return case jsonb_typeof(p_document)
    when 'object' then (
      select coalesce(jsonb_object_agg(crm_sync.redacted(d.key, p_pattern), crm_sync.redacted_json(d.value, p_pattern)), '{}') from jsonb_each(p_document) as d
    )
    when 'array' then (
      select coalesce(jsonb_agg(crm_sync.redacted_json(d.value, p_pattern) order by d.place), '[]')
      from jsonb_array_elements(p_document) with ordinality as d (value, place)
    )
    when 'string' then to_jsonb(crm_sync.redacted(p_document #>> '{}', p_pattern))
    when 'number' then case when (p_document #>> '{}') ~* p_pattern then '"[erased]"' else p_document end
    else p_document
  end;
end;
$$;
comment on function crm_sync.redacted_json(jsonb, text) is 'Operator: a document with [erased] in place of what the pattern finds in its texts.';
