create or replace function crm_sync.redacted(p_text text, p_pattern text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$ select regexp_replace(p_text, p_pattern, '[erased]', 'gi') $$;
comment on function crm_sync.redacted(text, text) is 'Operator: a text with [erased] in place of what the pattern finds.';
