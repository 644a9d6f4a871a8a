create or replace function crm_sync.path_key(p_key text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select case when p_key ~ '^[A-Za-z0-9_/-]+$' then p_key else to_jsonb(p_key)::text end
$$;
comment on function crm_sync.path_key(text) is 'Reader: a key as it is written in a path: in quotes where it could be taken for something else.';
