-- Nearly every insert is of one row, and every part of a statement is paid for by each of them. So the short way first: what goes
-- to one connection at once needs no judging. It makes one queue row for a classification, so a shorter count tells of the rest.
create or replace function crm_sync.message_classifications__insert() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off -- as in enqueue_classifications
as $$
declare
  v_rows bigint;
  v record;
begin
  insert into public.sync_queue (organization_id, integration_id, contact_id, message_id, classification_id, queue_type, priority)
  select m.organization_id, r.integration_id, m.contact_id, n.message_id, n.id, 'contact_sync', crm_sync.queue_priority(n.intent::text, n.priority::text)
  from inserted as n
  cross join lateral (select m.organization_id, m.contact_id from public.inbox_messages as m where m.id = n.message_id limit 1) as m
  cross join lateral (select r.integration_id from crm_sync.routes as r where r.organization_id = m.organization_id limit 1) as r
  where r.integration_id is not null and m.contact_id is not null;
  get diagnostics v_rows = row_count;

  select count(*) as classifications, exists (select from crm_sync.sleepers) as somebody_sleeps into v from inserted; -- one statement is cheaper than two
  if v_rows < v.classifications then
    perform crm_sync.enqueue_classifications(array(
      select n.id
      from inserted as n
      -- asked of the queue: a route may have changed since
      where not exists (
        select
        from public.inbox_messages as m
        join public.user_integrations as i on i.organization_id = m.organization_id
        join public.sync_queue as q on q.integration_id = i.id and q.contact_id = m.contact_id and q.completed_at is null and q.classification_id = n.id
        where m.id = n.message_id
      )
    ));
  end if;
  if v_rows > 0 and (v.somebody_sleeps or current_setting('transaction_isolation') <> 'read committed') then -- as in ring
    if v_rows = 1 then
      -- who is told where the work is need not look for it
      perform crm_sync.tell_listeners('crm_sync_due', r.integration_id::text)
      from inserted as n
      cross join lateral (select m.organization_id from public.inbox_messages as m where m.id = n.message_id limit 1) as m
      cross join lateral (select r.integration_id from crm_sync.routes as r where r.organization_id = m.organization_id limit 1) as r
      where r.integration_id is not null
      limit 1;
    end if;
    perform crm_sync.tell_listeners('crm_sync', '');
  end if;
  return null;
end;
$$;
comment on function crm_sync.message_classifications__insert() is 'Trigger: enqueues what a statement has classified.';

create or replace trigger crm_sync_insert
after insert on public.message_classifications
referencing new table as inserted
for each statement execute function crm_sync.message_classifications__insert();
comment on trigger crm_sync_insert on public.message_classifications is 'Enqueues each statement''s classifications for the CRMs of their organizations.';
