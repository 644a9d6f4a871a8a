-- Old keys are separated by white space, and a key may hold white space itself: so the whole text and each line of it count as well.
create or replace function crm_sync.session_keys() returns table (key_id text, key text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select distinct crm_sync.key_id(k.key), k.key
  from (
    select crm_sync.session_key() as key
    union all
    select btrim(t.key, E' \t\r\n')
    from (select coalesce(current_setting('crm_sync.old_encryption_keys', true), '') as old_keys) as s
    cross join lateral (
      select s.old_keys as key
      union all
      select regexp_split_to_table(s.old_keys, E'[\r\n]+')
      union all
      select regexp_split_to_table(s.old_keys, E'[ \t\r\n]+')
    ) as t
  ) as k
  where k.key <> ''
$$;
comment on function crm_sync.session_keys() is 'Trigger: the keys that this session opens with, by their ids: the one that it seals with, and older ones while keys are being rotated.';
