create or replace function crm_sync.picked_settings(p_row jsonb, p_columns text[]) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_object_agg(c.key, case
      when c.key = 'status' and c.value in ('"syncing"', '"error"') then '"connected"' -- an error is nobody's setting: the log tells of it
      else c.value
    end)
  from jsonb_each(p_row) as c
  where case when cardinality(p_columns) > 0 then c.key = any (p_columns)
    else c.key not in ('id', 'is_only', 'organization_id', 'integration_id', 'created_at', 'updated_at') end
$$;
comment on function crm_sync.picked_settings(jsonb, text[]) is 'Trigger: what of a row is a setting: the columns named, else all but keys and times.';
