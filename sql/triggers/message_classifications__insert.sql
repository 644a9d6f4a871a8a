create or replace function crm_sync.message_classifications__insert() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform crm_sync.enqueue_classifications(array(select n.id from inserted as n));
  return null;
end;
$$;
comment on function crm_sync.message_classifications__insert() is 'Trigger: enqueues what a statement has classified.';

create or replace trigger crm_sync_insert
after insert on public.message_classifications
referencing new table as inserted
for each statement execute function crm_sync.message_classifications__insert();
comment on trigger crm_sync_insert on public.message_classifications is 'Enqueues each statement''s classifications for the CRMs of their organizations.';
