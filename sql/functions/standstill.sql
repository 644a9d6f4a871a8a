-- Why nothing of a connection is sent at the moment: the one place that knows. It runs as whoever asks. No settings: part
-- of the query that asks.
create or replace function crm_sync.standstill(p_organization_id uuid, p_integration_id bigint)
returns table (kind text, reason text, since timestamptz, until timestamptz)
language sql stable rows 1
as $$
  select v.kind, v.reason, v.since, v.until
  from public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id
  join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
  cross join lateral (values
    (1, i.status = 'disconnected', 'disconnected', 'the CRM is disconnected: it waits until it is connected again', i.disconnected_at, null::timestamptz),
    (2, not p.is_active, 'switched_off', p.display_name || ' is switched off for everybody', null, null),
    (3, i.status = 'error', 'connection', 'the connection needs a person first: ' || coalesce(i.last_error, l.parked_reason, 'see its page'), l.last_failure_at, null),
    (4, l.paused_at is not null, 'paused', concat_ws(': ', case l.paused_scope when 'everything' then 'everything' when 'provider' then p.display_name when 'organization' then 'the organization' else 'the connection' end
      || ' is paused by ' || coalesce(l.paused_by, 'an operator'), l.paused_reason), l.paused_at, null),
    (5, l.parked_until > now(), coalesce(l.parked_kind, 'parked'), coalesce(l.parked_reason, l.parked_kind, 'the CRM is left alone for a while'), l.last_failure_at,
      nullif(l.parked_until, 'infinity')),
    (6, not crm_sync.is_running(), 'no_daemon', 'no daemon is running', null, null)
  ) as v (place, is_so, kind, reason, since, until)
  where i.organization_id = p_organization_id and i.id = p_integration_id and v.is_so
  order by v.place
  limit 1
$$;
comment on function crm_sync.standstill(uuid, bigint) is
  'Reader: why nothing of a connection is sent at the moment, since when and until when; no row while it works.';
