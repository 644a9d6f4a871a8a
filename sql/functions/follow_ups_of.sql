-- Without a SET clause: part of the query that asks.
create or replace function crm_sync.follow_ups_of(p_organization_id uuid, p_message_id uuid, p_classification_id uuid)
returns table (rule text, create_deal boolean, needs_person boolean)
language sql stable rows 1
as $$
  select r.intent, r.create_deal, c.requires_human_attention
  from crm_sync.message_of(p_organization_id, p_message_id) as g
  left join lateral crm_sync.classification_of(p_classification_id) as c on true
  left join lateral crm_sync.intent_rule(p_organization_id, c.intent::text) as r on true
$$;
comment on function crm_sync.follow_ups_of(uuid, uuid, uuid) is
  'Worker: what a classified message asks for once its contact is in the CRM: the intent''s rule, whether it makes a deal, whether a person is needed; no row where the message is gone.';
