create or replace function crm_sync.lift_erasure(p_contact_id uuid) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_organization_id uuid := crm_sync.require_traces(p_contact_id);
begin
  update crm_sync.erasures as e
  set lifted_at = now(), lifted_by = crm_sync.caller_name()
  where e.organization_id = v_organization_id and e.contact_id = p_contact_id and e.lifted_at is null;
  if not found then
    raise exception using errcode = 'CS091', message = format('contact %s was not erased, or that was lifted already', p_contact_id),
      hint = 'Who was: select contact_id, erased_at, lifted_at from crm_sync.erasures.';
  end if;
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  select v_organization_id, i.id, 'connection', 'info', 'Erasure lifted', format('A person who was erased may be sent again, by %s', crm_sync.caller_name())
  from public.user_integrations as i
  where i.organization_id = v_organization_id;
end;
$$;
comment on function crm_sync.lift_erasure(uuid) is
  'Operator: a contact that was erased may be sent to the CRMs again, from its next classification on; what was erased does not come back.';
