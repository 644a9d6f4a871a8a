create or replace function crm_sync.excuse_gone_contacts(p_outcomes jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_agg(
    case when o.outcome -> 'failure' ->> 'code' = 'CONTACT_GONE' then jsonb_set(o.outcome, '{failure,kind}', '"contended"') else o.outcome end
    order by o.place
  )
  from jsonb_array_elements(p_outcomes) with ordinality as o (outcome, place)
$$;
comment on function crm_sync.excuse_gone_contacts(jsonb) is
  'Worker: the outcomes, with what a vanished contact stopped as worth another attempt instead of refused for good.';
