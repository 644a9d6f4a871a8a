create or replace function crm_sync.intent_rule(p_organization_id uuid, p_intent text)
returns table (intent text, contact_status text, create_deal boolean)
language sql stable -- and no setting: so it is planned once, with the statement that asks
as $$
  select r.intent, r.contact_status, r.create_deal and not crm_sync.is_machine_intent(r.intent)
  from crm_sync.intent_rules as r
  where r.intent = crm_sync.normalize_intent(p_intent) and (r.organization_id = p_organization_id or r.organization_id is null)
  order by r.organization_id nulls last
  limit 1
$$;
comment on function crm_sync.intent_rule(uuid, text) is 'Worker: the rule in force for an intent, an organization''s own before the common one; no row leaves everything alone.';
