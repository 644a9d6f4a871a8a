create or replace function crm_sync.our_fields(p_object text) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select array(
    select a.attname::text
    from pg_catalog.pg_attribute as a
    where a.attrelid = to_regclass('public.contacts') and a.attnum > 0 and not a.attisdropped
    order by a.attnum
  ) || case
    when p_object = 'company' then '{}'
    when p_object = 'deal' then array['name', 'pipeline', 'stage', 'amount', 'currency', 'close_date', 'close_at', 'lead_source', 'rule']
    else array[
      'full_name', 'surname', 'company_or_none', 'status', 'lead_source', 'intent', 'sentiment', 'classification_priority', 'confidence',
      'requires_human_attention', 'next_action'
    ]
  end
$$;
comment on function crm_sync.our_fields(text) is 'Reader: what "from" may name in the rules for an object: the columns of contacts, and what we know besides.';
