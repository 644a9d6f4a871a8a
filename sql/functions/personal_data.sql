-- For a request for access. By indexes alone, however much there is: rows that were completed are found by the times that the log
-- has of the contact, what was made by its messages. p_thorough reads all of the organization's rows instead, and searches what
-- words about others say of the contact, as crm_sync.erase_contact() does.
create or replace function crm_sync.personal_data(p_contact_id uuid, p_thorough boolean default false)
returns table (what text, integration_id bigint, rows bigint, holds text, oldest timestamptz, kept_until timestamptz)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_organization_id uuid := crm_sync.organization_of_traces(p_contact_id, true);
  v_config crm_sync.config := (select c from crm_sync.config as c);
  v_pattern text;
  v_ids bigint[];
  v_messages uuid[];
  v_times timestamptz[];
begin
  if v_organization_id is null then
    return;
  end if;
  select array_agg(distinct l.created_at), array_agg(distinct l.message_id) filter (where l.message_id is not null) into v_times, v_messages
  from public.sync_activity_logs as l
  where l.organization_id = v_organization_id and l.contact_id = p_contact_id;
  if p_thorough then
    v_ids := array(select q.id from public.sync_queue as q where q.organization_id = v_organization_id and q.contact_id = p_contact_id);
  else
    v_ids := array(
      select q.id
      from public.user_integrations as i
      cross join lateral (
        select o.id from public.sync_queue as o where o.integration_id = i.id and o.contact_id = p_contact_id and o.completed_at is null
      ) as q
      where i.organization_id = v_organization_id
      union
      select q.id from public.sync_queue as q
      where q.contact_id = p_contact_id and q.completed_at is not null and q.last_error is not null and (q.organization_id = v_organization_id) is true
      union
      select q.id
      from unnest(v_times) as t (at)
      cross join lateral (
        select r.id, r.organization_id, r.contact_id from public.sync_queue as r where r.completed_at = t.at limit 10000
      ) as q
      where q.organization_id = v_organization_id and q.contact_id = p_contact_id
    );
  end if;
  return query
  select 'public.sync_queue'::text, q.integration_id, count(*), 'what was to be sent when, by the ids of contact and message; words of errors'::text, min(q.created_at),
    case when bool_and(q.completed_at is not null) then max(q.completed_at) + v_config.retain_finished end
  from unnest(v_ids) as u (id)
  cross join lateral crm_sync.row_of(v_organization_id, u.id) as q
  group by q.integration_id
  order by q.integration_id;

  return query
  select 'public.contact_sync_mappings'::text, m.integration_id, count(*), 'the fields as they were last sent, and the ids of the CRM''s records'::text, min(m.created_at), null::timestamptz
  from public.contact_sync_mappings as m
  where m.contact_id = p_contact_id and (m.organization_id = v_organization_id) is true
  group by m.integration_id
  order by m.integration_id;

  v_messages := array(
    select g.id from public.inbox_messages as g where g.organization_id = v_organization_id and g.contact_id = p_contact_id
    union
    select u.id from unnest(v_messages) as u (id)
  );
  return query
  select 'crm_sync.effects'::text, e.integration_id, count(*), 'which deals, messages and tasks were made in the CRM, by ids'::text, min(e.created_at), null::timestamptz
  from (
    select e.integration_id, e.created_at, e.object_type, e.key
    from public.user_integrations as i
    cross join lateral (
      select d.* from crm_sync.effects as d
      where d.organization_id = i.organization_id and d.integration_id = i.id and d.contact_id = p_contact_id and d.object_type = 'deal'
      union
      select a.*
      from unnest(v_messages) as m (id)
      cross join (values ('activity', 'message:'), ('task', 'task:')) as t (object_type, prefix)
      join crm_sync.effects as a on a.organization_id = i.organization_id and a.integration_id = i.id and a.object_type = t.object_type and a.key = t.prefix || m.id
      where not p_thorough
    ) as e
    where i.organization_id = v_organization_id
    union
    select e.integration_id, e.created_at, e.object_type, e.key from crm_sync.effects as e
    where p_thorough and e.organization_id = v_organization_id and e.contact_id = p_contact_id
  ) as e
  group by e.integration_id
  order by e.integration_id;

  return query
  select 'public.sync_activity_logs'::text, l.integration_id, count(*), 'each time the fields that were sent, or why that failed'::text, min(l.created_at), max(l.created_at) + v_config.retain_logs
  from public.sync_activity_logs as l
  where l.organization_id = v_organization_id and l.contact_id = p_contact_id
  group by l.integration_id
  order by l.integration_id;

  return query
  select 'crm_sync.erasures'::text, null::bigint, 1::bigint, 'that the contact was erased, by its id'::text, e.erased_at, null::timestamptz
  from crm_sync.erasures as e
  where e.organization_id = v_organization_id and e.contact_id = p_contact_id;
  if not p_thorough then
    return;
  end if;

  v_pattern := crm_sync.traces_pattern(v_organization_id, p_contact_id);
  return query
  select 'public.sync_activity_logs'::text, l.integration_id, count(*), 'words about others that quote this contact'::text, min(l.created_at), max(l.created_at) + v_config.retain_logs
  from public.sync_activity_logs as l
  where l.organization_id = v_organization_id and l.contact_id is distinct from p_contact_id
    and (l.description ~* v_pattern or l.error_details::text ~* v_pattern)
  group by l.integration_id
  order by l.integration_id;
  return query
  select 'public.sync_queue'::text, q.integration_id, count(*), 'words about others that quote this contact'::text, min(q.created_at),
    case when bool_and(q.completed_at is not null) then max(q.completed_at) + v_config.retain_finished end
  from public.sync_queue as q
  where q.organization_id = v_organization_id and q.contact_id is distinct from p_contact_id and q.last_error ~* v_pattern
  group by q.integration_id
  order by q.integration_id;
  return query
  select 'crm_sync.lanes'::text, l.integration_id, 1::bigint, 'the last error or a reason quotes this contact, until there is another'::text, l.last_failure_at, null::timestamptz
  from crm_sync.lanes as l
  where l.organization_id = v_organization_id and concat_ws(' ', l.last_error, l.parked_reason, l.paused_reason) ~* v_pattern
  order by l.integration_id;
  return query
  select 'crm_sync.alerts'::text, a.integration_id, count(*), 'words that quote this contact, also in the messages about them'::text, min(a.raised_at), max(a.cleared_at) + v_config.retain_logs
  from crm_sync.alerts as a
  where a.organization_id = v_organization_id and concat_ws(' ', a.words, a.remedy, a.note) ~* v_pattern
  group by a.integration_id
  order by a.integration_id;
  return query
  select 'crm_sync.changes'::text, c.integration_id, count(*), 'settings that name or named this contact'::text, min(c.changed_at), max(c.changed_at) + v_config.retain_changes
  from crm_sync.changes as c
  where c.organization_id = v_organization_id and concat_ws(' ', c.old, c.new, c.difference) ~* v_pattern
  group by c.integration_id
  order by c.integration_id;
end;
$$;
comment on function crm_sync.personal_data(uuid, boolean) is
  'Reader: what pg-crm-sync holds of a contact: how many rows of which table, what is in them, since when, and until when they are kept at the latest (null: as long as the contact, or as the work takes); with true also what words about others quote of it, which reads all rows of the organization.';
