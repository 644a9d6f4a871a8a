create or replace function crm_sync.is_running() returns boolean
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (select from crm_sync.daemons as d where crm_sync.is_alive(d.last_seen_at));
end;
$$;
comment on function crm_sync.is_running() is 'Reader: whether any daemon gave a sign of life in the last two minutes; all that members are told of the daemons.';
