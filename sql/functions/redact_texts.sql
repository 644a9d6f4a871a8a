-- The lanes are locked. What was sent for another contact is that contact's own and stays: who shares the address is told. What
-- concerns everybody is blanked for an operator only: a member says by its words, or by a contact's name, what is looked for. And
-- what is our own word, and acted upon, is nobody's: kinds and known codes of failures, names and types in messages.
create or replace function crm_sync.redact_texts(p_organization_id uuid, p_pattern text) returns table (what text, integration_id bigint, rows bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_count bigint;
  v_sees_all boolean := crm_sync.caller_may_manage(null) is true;
begin
  return query
  with blanked as (
    update public.sync_queue as q
    set last_error = crm_sync.redacted(q.last_error, p_pattern), failure = crm_sync.redacted_failure(q.failure, p_pattern)
    from (
      -- by the three indexes that know of rows with words
      select r.id
      from crm_sync.lanes as l
      cross join lateral (
        select o.id, o.last_error, o.failure from public.sync_queue as o
        where o.integration_id = l.integration_id and o.completed_at is null and o.last_error is not null
        union all
        select f.id, f.last_error, f.failure from public.sync_queue as f
        where f.integration_id = l.integration_id and f.completed_at is not null and f.failure is not null
        union all
        select s.id, s.last_error, s.failure from public.sync_queue as s
        where s.integration_id = l.integration_id and s.completed_at is not null and s.failure is null and s.last_error is not null
      ) as r
      where l.organization_id = p_organization_id and (r.last_error ~* p_pattern or r.failure::text ~* p_pattern)
    ) as r
    where q.organization_id = p_organization_id and q.id = r.id
    returning q.integration_id
  )
  select 'public.sync_queue'::text, b.integration_id, count(*) from blanked as b group by b.integration_id;

  return query
  with blanked as (
    update crm_sync.lanes as l
    set last_error = crm_sync.redacted(l.last_error, p_pattern), parked_reason = crm_sync.redacted(l.parked_reason, p_pattern),
      paused_reason = crm_sync.redacted(l.paused_reason, p_pattern)
    where l.organization_id = p_organization_id and concat_ws(' ', l.last_error, l.parked_reason, l.paused_reason) ~* p_pattern
    returning l.integration_id
  )
  select 'crm_sync.lanes'::text, b.integration_id, count(*) from blanked as b group by b.integration_id;

  return query
  with blanked as (
    -- counted anew, from rows that are blanked
    delete from crm_sync.tallies as t
    where t.organization_id = p_organization_id and concat_ws(' ', to_jsonb(t.failed_causes), to_jsonb(t.retrying_causes)) ~* p_pattern
    returning t.integration_id
  )
  select 'crm_sync.tallies'::text, b.integration_id, count(*) from blanked as b group by b.integration_id;

  return query
  with blanked as (
    update crm_sync.pauses as p
    set reason = crm_sync.redacted(p.reason, p_pattern)
    where p.reason ~* p_pattern and (
      p.scope in ('provider', 'everything') and v_sees_all or p.key = p_organization_id::text
      or p.scope = 'integration' and p.key in (select i.id::text from public.user_integrations as i where i.organization_id = p_organization_id)
    )
    returning p.scope
  )
  select 'crm_sync.pauses'::text, null::bigint, count(*) from blanked having count(*) > 0;

  return query
  with blanked as (
    update crm_sync.alerts as a
    set words = crm_sync.redacted(a.words, p_pattern), remedy = crm_sync.redacted(a.remedy, p_pattern), note = crm_sync.redacted(a.note, p_pattern)
    where (a.organization_id = p_organization_id or a.organization_id is null and v_sees_all) and concat_ws(' ', a.words, a.remedy, a.note) ~* p_pattern
    returning a.integration_id
  )
  select 'crm_sync.alerts'::text, b.integration_id, count(*) from blanked as b group by b.integration_id;

  with found as materialized (
    select d.id, d.payload::jsonb as payload
    from crm_sync.alerts as a
    join crm_sync.deliveries as d on d.alert_id = a.id
    where (a.organization_id = p_organization_id or a.organization_id is null and v_sees_all) and (d.payload::text ~* p_pattern or d.last_error ~* p_pattern)
    for no key update -- the alert too: it takes its messages along when it is removed
  )
  update crm_sync.deliveries as d
  set last_error = crm_sync.redacted(d.last_error, p_pattern),
    payload = (f.payload || (
      select coalesce(jsonb_object_agg(e.key, crm_sync.redacted_json(e.value, p_pattern)), '{}') from jsonb_each(f.payload) as e where e.key in ('words', 'remedy')
    ) || case when jsonb_typeof(f.payload -> 'data') = 'object' then jsonb_build_object('data', (f.payload -> 'data') || (
      select coalesce(jsonb_object_agg(e.key, crm_sync.redacted_json(e.value, p_pattern)), '{}') from jsonb_each(f.payload -> 'data') as e where e.key in ('words', 'remedy')
    )) else '{}' end)::json
  from found as f
  where d.id = f.id;
  get diagnostics v_count = row_count;
  if v_count > 0 then
    return query select 'crm_sync.deliveries'::text, null::bigint, v_count;
  end if;

  update crm_sync.changes as c
  set name = crm_sync.redacted(c.name, p_pattern), old = crm_sync.redacted_json(c.old, p_pattern), new = crm_sync.redacted_json(c.new, p_pattern), difference = crm_sync.redacted_json(c.difference, p_pattern)
  where c.organization_id = p_organization_id and concat_ws(' ', c.name, c.old, c.new, c.difference) ~* p_pattern;
  get diagnostics v_count = row_count;
  if v_count > 0 then
    return query select 'crm_sync.changes'::text, null::bigint, v_count;
  end if;
end;
$$;
comment on function crm_sync.redact_texts(uuid, text) is
  'Operator: blanks what the pattern finds in words of an organization: errors, reasons, alerts, messages about them, the history of settings; returns how many rows of what.';
