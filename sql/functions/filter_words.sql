-- In plpgsql, where a plan is kept: it is asked for each row of an answer.
create or replace function crm_sync.filter_words(p_filters jsonb, p_classification_id uuid, p_organization_id uuid, p_contact_id uuid) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select case when p_filters = '{}' then 'no filter is set: everything is let through'
      else coalesce(
        crm_sync.filter_reason(p_filters, crm_sync.filter_facts(p_classification_id, p_organization_id, p_contact_id)),
        'let through by ' || (
          select left(string_agg(g.key || ' of: ' || (
            select string_agg(format('%s %s%s', c.condition ->> 'field', c.condition ->> 'op', ' ' || (c.condition -> 'value')::text), ', ' order by c.place)
            from jsonb_array_elements(g.value) with ordinality as c (condition, place)
          ), '; ' order by g.key), 1000)
          from jsonb_each(p_filters) as g
        ), 'let through')
    end
  );
end;
$$;
comment on function crm_sync.filter_words(jsonb, uuid, uuid, uuid) is 'Reader: whether the filters of a connection let a classification through, and by which conditions.';
