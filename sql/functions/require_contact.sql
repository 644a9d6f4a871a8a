create or replace function crm_sync.require_contact(p_contact_id uuid) returns uuid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_organization_id uuid := (select k.organization_id from public.contacts as k where k.id = p_contact_id);
begin
  -- the same answer for what does not exist and for what is not yours
  if v_organization_id is null or not crm_sync.caller_may_manage(v_organization_id) then
    raise exception using errcode = 'CS021', message = format('there is no contact %s that you may manage', coalesce(p_contact_id::text, 'null')),
      hint = 'Ask as a member of the contact''s organization, or as an operator (a member of crm_sync_daemon).';
  end if;
  return v_organization_id;
end;
$$;
comment on function crm_sync.require_contact(uuid) is 'Operator: the organization of a contact; raises CS021 where there is none or the caller may not manage it.';
