create or replace function crm_sync.redacted_failure(p_failure jsonb, p_pattern text) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case when jsonb_typeof(p_failure) <> 'object' then crm_sync.redacted_json(p_failure, p_pattern) else (
    select coalesce(jsonb_object_agg(f.key, case
      when f.key in ('kind', 'status') or f.key = 'code' and exists (select from crm_sync.errors as e where e.code = p_failure ->> 'code') then f.value
      else crm_sync.redacted_json(f.value, p_pattern)
    end), '{}')
    from jsonb_each(p_failure) as f
  ) end
$$;
comment on function crm_sync.redacted_failure(jsonb, text) is
  'Operator: the parts of a failure with [erased] in place of what the pattern finds; its kind, status and a known code stay, as they are acted upon.';
