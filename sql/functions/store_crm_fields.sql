-- Only what differs is written: most days nothing does, and the rows are many.
create or replace function crm_sync.store_crm_fields(p_integration_id bigint, p_fields jsonb) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_organization_id uuid;
  v_gone integer;
  v_written integer;
begin
  -- one lock order everywhere: connection, lane; two daemons that describe at once follow each other
  select i.organization_id into v_organization_id from public.user_integrations as i where i.id = p_integration_id for key share;
  perform from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  if not found then
    return 0;
  end if;
  delete from crm_sync.crm_fields as f
  where f.organization_id = v_organization_id and f.integration_id = p_integration_id
    and not exists (
      select from jsonb_to_recordset(p_fields) as g (object text, name text) where g.object = f.object and g.name = f.name
    );
  get diagnostics v_gone = row_count;
  insert into crm_sync.crm_fields as f (
    organization_id, integration_id, object, name, label, type, is_writable, is_required, options, is_closed
  )
  select distinct on (g.object, g.name) v_organization_id, p_integration_id, g.object, g.name, coalesce(g.label, ''),
    case when g.type in ('text', 'number', 'boolean', 'date', 'datetime', 'enum', 'multi_enum') then g.type else 'other' end,
    coalesce(g.is_writable, true), coalesce(g.is_required, false),
    case when jsonb_typeof(g.options) = 'array' then g.options else '[]' end, coalesce(g.is_closed, false)
  from rows from (
    jsonb_to_recordset(p_fields) as (
      object text, name text, label text, type text, is_writable boolean, is_required boolean, options jsonb, is_closed boolean
    )
  ) with ordinality as g (object, name, label, type, is_writable, is_required, options, is_closed, place)
  where g.object in ('contact', 'lead', 'company', 'deal') and g.name <> ''
  order by g.object, g.name, g.place -- of two that have one name, the first
  on conflict (organization_id, integration_id, object, name) do update
  set label = excluded.label, type = excluded.type, is_writable = excluded.is_writable, is_required = excluded.is_required,
    options = excluded.options, is_closed = excluded.is_closed
  where (f.label, f.type, f.is_writable, f.is_required, f.options, f.is_closed)
    is distinct from (excluded.label, excluded.type, excluded.is_writable, excluded.is_required, excluded.options, excluded.is_closed);
  get diagnostics v_written = row_count;
  update crm_sync.lanes as l set described_at = clock_timestamp() where l.integration_id = p_integration_id;
  return v_gone + v_written;
end;
$$;
comment on function crm_sync.store_crm_fields(bigint, jsonb) is
  'Worker: replaces what is known of the fields of a connection''s CRM by what it has just described; returns how many fields were changed, made or removed.';
