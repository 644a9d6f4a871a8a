-- Pauses of a connection alone are in its lane; wider ones may not have reached all lanes yet, so each claim and each request asks.
-- A set, and without a SET clause: so the planner makes it a part of the query that asks.
create or replace function crm_sync.wide_pauses(p_organization_id uuid, p_provider text) returns setof crm_sync.pauses
language sql stable rows 1
as $$
  select p.* from crm_sync.pauses as p
  where p.scope = 'everything' or p.scope = 'provider' and p.key = p_provider or p.scope = 'organization' and p.key = p_organization_id::text
$$;
comment on function crm_sync.wide_pauses(uuid, text) is 'Worker: what holds up an organization''s connections to a CRM together with others; none where nothing does.';
