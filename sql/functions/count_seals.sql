create or replace function crm_sync.count_seals() returns table (key_id text, is_current boolean, opens boolean, connections bigint, revocations bigint)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select s.key_id, s.key_id = crm_sync.key_id(crm_sync.session_key()), s.key_id in (select k.key_id from crm_sync.session_keys() as k),
    count(*) filter (where s.is_connection), count(*) filter (where not s.is_connection)
  from (
    select split_part(i.credentials, ':', 3) as key_id, true as is_connection from public.user_integrations as i where i.credentials is not null
    union all
    select split_part(r.sealed_credentials, ':', 3), false from crm_sync.revocations as r
  ) as s
  group by s.key_id
  order by s.key_id
$$;
comment on function crm_sync.count_seals() is 'Operator: how much is sealed with which key, and whether this session has it.';
