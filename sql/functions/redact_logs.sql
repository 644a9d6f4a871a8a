-- The titles are our own words. Most entries have no others, so few are searched. Who did what stays: an id is of somebody else.
create or replace function crm_sync.redact_logs(p_organization_id uuid, p_contact_id uuid, p_pattern text, p_from timestamptz, p_to timestamptz) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_uuid constant text := '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
  v_id constant text := '^' || v_uuid || '$';
  v_count bigint;
begin
  update public.sync_activity_logs as l
  set description = case when l.activity_type <> 'connection' then crm_sync.redacted(l.description, p_pattern) else (
      select string_agg(case when p.part ~ v_id and p.part <> p_contact_id::text then p.part else crm_sync.redacted(p.part, p_pattern) end, '' order by p.place)
      from regexp_split_to_table(l.description, '(?=\m' || v_uuid || '\M)|(?<=\m' || v_uuid || '\M)') with ordinality as p (part, place)
    ) end,
    error_details = crm_sync.redacted_failure(l.error_details, p_pattern)
  where l.organization_id = p_organization_id and l.contact_id is distinct from p_contact_id and l.created_at >= p_from and l.created_at < p_to
    and (l.description ~* p_pattern or l.error_details::text ~* p_pattern);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function crm_sync.redact_logs(uuid, uuid, text, timestamptz, timestamptz) is
  'Operator: blanks what log entries about others say of a contact in words; returns how many entries.';
