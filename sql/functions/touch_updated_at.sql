create or replace function crm_sync.touch_updated_at() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;
comment on function crm_sync.touch_updated_at() is 'Trigger: keeps updated_at true.';
