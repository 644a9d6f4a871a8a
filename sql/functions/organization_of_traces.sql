-- Of a contact that the host application has deleted nothing but what we hold tells whose it was. What is asked first is found by
-- an index; the last two read all rows of an organization, once for somebody of whom nothing else is left.
create or replace function crm_sync.organization_of_traces(p_contact_id uuid, p_to_see boolean default false) returns uuid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_organization_id uuid := (select k.organization_id from public.contacts as k where k.id = p_contact_id);
begin
  if v_organization_id is null and p_contact_id is not null then
    select o.id into v_organization_id
    from public.organizations as o
    where case when p_to_see then crm_sync.caller_may_see(o.id) else crm_sync.caller_may_manage(o.id) end and (
      exists (select from crm_sync.erasures as e where e.organization_id = o.id and e.contact_id = p_contact_id)
      or exists (select from public.sync_activity_logs as l where l.organization_id = o.id and l.contact_id = p_contact_id)
      or not p_to_see and (
        exists (select from public.sync_queue as q where q.organization_id = o.id and q.contact_id = p_contact_id)
        or exists (select from crm_sync.effects as e where e.organization_id = o.id and e.contact_id = p_contact_id)
      )
    )
    limit 1;
  end if;
  return case
    when v_organization_id is null then null
    when p_to_see then case when crm_sync.caller_may_see(v_organization_id) then v_organization_id end
    when crm_sync.caller_may_manage(v_organization_id) then v_organization_id
  end;
end;
$$;
comment on function crm_sync.organization_of_traces(uuid, boolean) is
  'Reader: the organization of a contact, also of one that the host application has deleted; null where there is none or the caller may not manage it, or with true not see it.';
