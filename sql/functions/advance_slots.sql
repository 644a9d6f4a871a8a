-- A slot that passed without work folds no counters, and would be the next one for ever.
create or replace function crm_sync.advance_slots() returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_count integer;
begin
  update public.user_integrations as i
  set next_sync_at = null -- the trigger knows the next one
  from (
    select o.organization_id, o.id from public.user_integrations as o
    where o.next_sync_at <= now()
    order by o.id
    for no key update skip locked
  ) as o
  where i.organization_id = o.organization_id and i.id = o.id;
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function crm_sync.advance_slots() is 'Worker: moves next_sync_at of hourly and daily connections on where it has passed; returns how many there were.';
