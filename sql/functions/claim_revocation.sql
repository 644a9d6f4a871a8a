-- One at a time, judged immediately before the call: a connection that somebody has just made to the same account must live.
create or replace function crm_sync.claim_revocation()
returns table (organization_id uuid, id bigint, attempts integer, integration_id bigint, provider text, config jsonb, credentials jsonb)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_due crm_sync.revocations;
  v_provider public.integration_providers;
  v_problem text;
begin
  for v_round in 1..50 loop
    select r.* into v_due
    from crm_sync.revocations as r
    where r.next_attempt_at <= now()
    order by r.next_attempt_at
    limit 1
    for update skip locked;
    if not found then
      return;
    end if;
    select * into v_provider from public.integration_providers as p where p.id = v_due.provider_id;

    if exists (
      select
      from public.user_integrations as i
      join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
      where i.provider_id = v_due.provider_id and i.credentials is not null and (
        crm_sync.same_account(i.account_id, v_due.account_id) or crm_sync.same_account(l.other_account ->> 'id', v_due.account_id)
        -- of which account nobody knows: it may well be the same
        or i.organization_id = v_due.organization_id and (v_due.account_id is null or i.account_id is null)
      )
    ) then
      perform crm_sync.end_revocation(v_due, 'info', 'Not revoked at the CRM', format(
        'Another connection to this account of %s is alive, and revoking the token of one might end the other as well; remove the app in %s to end both',
        v_provider.display_name, v_provider.display_name));
      continue;
    elsif v_due.created_at < now() - interval '7 days' then
      perform crm_sync.end_revocation(v_due, 'warning', 'Not revoked at the CRM', format(
        'Given up after %s attempts: %s; remove the app in %s to be sure', v_due.attempts, coalesce(v_due.last_error, 'no daemon got through'), v_provider.display_name));
      continue;
    end if;

    begin
      v_problem := null;
      credentials := crm_sync.open_sealed(v_due.organization_id, v_due.integration_id, v_due.sealed_credentials);
    exception
      when sqlstate 'CS004' then
        v_problem := 'the daemon does not have the encryption key that the token was sealed with';
      when sqlstate 'CS005' then
        perform crm_sync.end_revocation(v_due, 'warning', 'Not revoked at the CRM', format(
          'The stored token is damaged and cannot be read; remove the app in %s to be sure', v_provider.display_name));
        continue;
    end;
    update crm_sync.revocations as r
    set attempts = r.attempts + 1,
      next_attempt_at = now() + crm_sync.retry_delay(r.attempts + 1, '2 minutes', '6 hours'),
      last_error = coalesce(v_problem, r.last_error)
    where r.organization_id = v_due.organization_id and r.id = v_due.id;
    if v_problem is null then
      organization_id := v_due.organization_id;
      id := v_due.id;
      attempts := v_due.attempts + 1;
      integration_id := v_due.integration_id;
      provider := v_provider.name;
      config := v_provider.config;
      return next; -- no query, whose plan would tell the credentials
      return;
    end if;
  end loop;
end;
$$;
comment on function crm_sync.claim_revocation() is
  'Worker: the next credentials to be revoked at their CRM, opened; they are the caller''s for two minutes. No row: nothing is due. What must not or cannot be revoked is settled on the way.';
