create or replace function crm_sync.filter_facts(p_classification_id uuid, p_organization_id uuid, p_contact_id uuid) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return (
    select jsonb_build_object(
      'intent', crm_sync.normalize_intent(c.intent::text), 'sentiment', c.sentiment, 'priority', c.priority, 'confidence', c.confidence,
      'requires_human_attention', c.requires_human_attention, 'next_action', c.next_action,
      'email_domain', substring(lower(crm_sync.trim_blanks(k.email)) from '@([^@]+)$'), 'contact', to_jsonb(k)
    )
    from public.message_classifications as c
    left join public.contacts as k on k.organization_id = p_organization_id and k.id = p_contact_id
    where c.id = p_classification_id
  );
end;
$$;
comment on function crm_sync.filter_facts(uuid, uuid, uuid) is 'Trigger: what the filters of a connection may ask about a classification and its contact.';
