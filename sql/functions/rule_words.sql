-- In plpgsql, where a plan is kept: it is asked for each row of an answer.
create or replace function crm_sync.rule_words(p_organization_id uuid, p_intent text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce((
      select format('%s rule for %s: %s, %s',
        case when r.organization_id is null then 'the common' else 'the organization''s own' end, r.intent,
        coalesce('the contact''s status becomes ' || r.contact_status || ' unless it is further', 'the contact''s status is left alone'),
        case when r.create_deal and not crm_sync.is_machine_intent(r.intent) then 'a deal is made once' else 'no deal is made' end)
      from crm_sync.intent_rules as r
      where r.intent = crm_sync.normalize_intent(p_intent) and (r.organization_id = p_organization_id or r.organization_id is null)
      order by r.organization_id nulls last
      limit 1
    ), format('no rule for %s: the contact''s status is left alone, no deal is made', coalesce(crm_sync.normalize_intent(p_intent), 'a reply without an intent')))
  );
end;
$$;
comment on function crm_sync.rule_words(uuid, text) is 'Reader: which intent rule applies to an intent, an organization''s own or the common one, and what it says.';
