create or replace function crm_sync.finish_revocation(
  p_organization_id uuid, p_id bigint, p_attempts integer, p_outcome text, p_reason text default null, p_retry_after double precision default null
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_revocation crm_sync.revocations;
  v_crm text;
begin
  select * into v_revocation from crm_sync.revocations as r where r.organization_id = p_organization_id and r.id = p_id and r.attempts = p_attempts for update;
  if not found then
    return; -- somebody else is at it, or is done
  end if;
  select p.display_name into v_crm from public.integration_providers as p where p.id = v_revocation.provider_id;
  case p_outcome
    when 'revoked' then
      perform crm_sync.end_revocation(v_revocation, 'success', 'Revoked at the CRM', format('%s has ended the access of this connection', v_crm));
    when 'unknown' then
      perform crm_sync.end_revocation(v_revocation, 'info', 'Revoked at the CRM', format('%s did not know the token (any more)', v_crm));
    when 'impossible' then
      perform crm_sync.end_revocation(v_revocation, 'warning', 'Not revoked at the CRM', format('%s; remove the app in %s to be sure', p_reason, v_crm));
    when 'later' then
      update crm_sync.revocations as r
      set last_error = p_reason,
        next_attempt_at = greatest(r.next_attempt_at, now() + make_interval(secs => least(greatest(coalesce(p_retry_after, 0), 0), 86400)))
      where r.organization_id = p_organization_id and r.id = p_id;
  end case;
end;
$$;
comment on function crm_sync.finish_revocation(uuid, bigint, integer, text, text, double precision) is
  'Worker: what became of a revocation: revoked; unknown to the CRM; impossible, for a reason; or to be tried later, for a reason.';
