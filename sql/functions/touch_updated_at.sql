create or replace function crm_sync.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;
comment on function crm_sync.touch_updated_at() is 'Trigger: keeps updated_at true.';
