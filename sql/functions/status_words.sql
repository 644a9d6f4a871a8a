create or replace function crm_sync.status_words(p_status_values jsonb, p_options jsonb) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    -- of several words that mean a status, the first that this account has
    select coalesce(jsonb_object_agg(v.key, case when jsonb_typeof(v.value) <> 'array' then v.value else coalesce((
      select w.word
      from jsonb_array_elements(v.value) with ordinality as w (word, place)
      where p_options is null or exists (select from jsonb_array_elements(p_options) as o (option) where o.option -> 'value' = w.word)
      order by w.place
      limit 1
    ), v.value -> 0) end), '{}')
    from jsonb_each(p_status_values) as v
  );
end;
$$;
comment on function crm_sync.status_words(jsonb, jsonb) is 'Worker: what the CRM calls each status of a contact.';
