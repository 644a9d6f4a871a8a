create or replace function crm_sync.queue_slot(p_frequency text, p_settings jsonb, p_organization_id uuid, p_intent text) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
begin
  -- whoever works by the hour or day may let the interested go ahead
  if p_settings ->> 'interested_overtake' = 'true' and exists (
    select from crm_sync.intent_rule(p_organization_id, p_intent) as r where r.create_deal
  ) then
    return null;
  end if;
  return crm_sync.next_slot(p_frequency, now());
end;
$$;
comment on function crm_sync.queue_slot(text, jsonb, uuid, text) is 'Trigger: when a classification of this intent is worked on by a connection of this frequency and settings; null means at once.';
