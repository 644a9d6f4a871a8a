create or replace function crm_sync.normalize_intent(p_intent text) returns text
language sql immutable parallel safe
return nullif(btrim(regexp_replace(lower(left(p_intent, 100)), '[^a-z0-9]+', '_', 'g'), '_'), '');
comment on function crm_sync.normalize_intent(text) is 'Trigger: an intent in lower case with its words joined by underscores: "Not interested" is not_interested.';
