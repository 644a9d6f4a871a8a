create or replace function crm_sync.opens(p_sealed text) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from crm_sync.session_keys() as k where k.key_id = split_part(p_sealed, ':', 3))
$$;
comment on function crm_sync.opens(text) is 'Trigger: whether this session has the key that a value was sealed with.';
