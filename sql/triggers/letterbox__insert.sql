create or replace function crm_sync.letterbox__insert() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_letter text;
begin
  v_letter := set_config('crm_sync.letter', new.secret, true); -- an expression: a statement would be in the log of auto_explain
  return null;
end;
$$;
comment on function crm_sync.letterbox__insert() is 'Trigger: keeps a secret for the rest of the transaction, in the session''s memory.';

create or replace trigger crm_sync_insert
instead of insert on crm_sync.letterbox
for each row execute function crm_sync.letterbox__insert();
comment on trigger crm_sync_insert on crm_sync.letterbox is 'Keeps what is put in for the rest of the transaction; no row is stored.';
