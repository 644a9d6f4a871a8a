create or replace function crm_sync.user_integrations__follow() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'DELETE' then
    delete from public.sync_queue as q where q.organization_id = old.organization_id and q.integration_id = old.id;
    delete from crm_sync.pauses as p
    where (p.scope = 'integration' and p.key = old.id::text)
      or (p.scope = 'organization' and p.key = old.organization_id::text
        and not exists (select from public.organizations as o where o.id = old.organization_id));
  elsif tg_op = 'INSERT' then
    insert into crm_sync.lanes (organization_id, integration_id, connected_at, paused_at, paused_by, paused_scope, paused_reason)
    select new.organization_id, new.id, clock_timestamp(), p.paused_at, p.paused_by, p.scope, p.reason
    from (select) as one
    left join lateral crm_sync.find_pause(new.organization_id, new.id, new.provider_id) as p on true;
  elsif new.sync_frequency <> old.sync_frequency then
    -- what waits for a slot of the old frequency goes by the new one; what is ready now may be below the lane's floors
    update crm_sync.lanes as l set look_behind_at = '-infinity', search_all_at = '-infinity' where l.integration_id = new.id;
    update public.sync_queue as q
    set next_attempt_at = crm_sync.next_slot(new.sync_frequency, now()), scheduled_at = coalesce(crm_sync.next_slot(new.sync_frequency, now()), now())
    where q.integration_id = new.id and q.status = 'pending' and q.next_attempt_at is not null and q.attempts = 0;
    perform crm_sync.ring();
  end if;
  if tg_op = 'UPDATE' and new.status in ('connected', 'syncing')
    and (old.status not in ('connected', 'syncing') or new.credentials_version <> old.credentials_version)
  then
    -- connected anew, perhaps to another account: what was known of the old one is in doubt, unless store_credentials says
    -- that a token was only refreshed
    update crm_sync.lanes as l
    set schema_ready_at = null, described_at = null, connected_version = new.credentials_version,
      connected_at = clock_timestamp(), refresh_after = null, refresh_failures = 0
    where l.integration_id = new.id and coalesce(current_setting('crm_sync.keeps_account', true), '') <> 'on';
    update crm_sync.lanes as l
    set parked_until = null, parked_kind = null, parked_reason = null, failures = 0, batch_limit = null
    where l.integration_id = new.id and l.parked_kind in ('unauthorized', 'other_account');
    perform crm_sync.ring();
  end if;
  return null;
end;
$$;
comment on function crm_sync.user_integrations__follow() is 'Trigger: opens the lane of a new connection (paused, if its organization, its CRM or everything is), resumes one that was connected again, moves what waits for a slot, clears the queue of one that is deleted.';

create or replace trigger crm_sync_follow
after insert or update of status, credentials, sync_frequency or delete on public.user_integrations
for each row execute function crm_sync.user_integrations__follow();
comment on trigger crm_sync_follow on public.user_integrations is 'Keeps the lane and the queue of a connection in step with it.';
