create or replace function crm_sync.note_timeline() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_timeline integer := crm_sync.timeline();
begin
  if v_timeline is null or not exists (select from crm_sync.fence as f where f.timeline is distinct from v_timeline) then
    return;
  end if;
  update crm_sync.fence as f
  set timeline = v_timeline, doubtful_before = case when f.timeline is null then f.doubtful_before else clock_timestamp() end
  where f.timeline is distinct from v_timeline;
end;
$$;
comment on function crm_sync.note_timeline() is
  'Worker: called on each new connection; after a failover, what was enqueued before may have been sent by a daemon whose word was lost with the old primary, so the CRM is looked into first.';
