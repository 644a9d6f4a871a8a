-- Why nothing of a connection is sent at the moment: the one place that knows. It runs as whoever asks. No settings: part
-- of the query that asks.
create or replace function crm_sync.standstill(p_organization_id uuid, p_integration_id bigint)
returns table (kind text, reason text, since timestamptz, until timestamptz)
language sql stable rows 1
as $$
  select case v.cause when 'parked' then coalesce(l.parked_kind, 'parked') else v.cause end,
    case v.cause
      when 'disconnected' then 'the CRM is disconnected: it waits until it is connected again'
      when 'switched_off' then p.display_name || ' is switched off for everybody'
      when 'connection' then 'the connection needs a person first: ' || coalesce(i.last_error, l.parked_reason, 'see its page')
      when 'paused' then concat_ws(': ',
        case l.paused_scope when 'everything' then 'everything' when 'provider' then p.display_name when 'organization' then 'the organization' else 'the connection' end
          || ' is paused by ' || crm_sync.who_words(l.paused_by), l.paused_reason)
      when 'parked' then coalesce(l.parked_reason, l.parked_kind, 'the CRM is left alone for a while')
      when 'no_daemon' then 'no daemon is running'
    end,
    case v.cause when 'disconnected' then i.disconnected_at when 'paused' then l.paused_at when 'connection' then l.last_failure_at when 'parked' then l.last_failure_at end,
    case v.cause when 'parked' then nullif(l.parked_until, 'infinity') end
  from public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id
  join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
  cross join lateral (
    -- of several the first; words are made only of what is so
    select case
      when i.status = 'disconnected' then 'disconnected'
      when not p.is_active then 'switched_off'
      when i.status = 'error' then 'connection'
      when l.paused_at is not null then 'paused'
      when l.parked_until > now() then 'parked'
      when not (select crm_sync.is_running()) then 'no_daemon'
    end as cause
    offset 0
  ) as v
  where i.organization_id = p_organization_id and i.id = p_integration_id and v.cause is not null
$$;
comment on function crm_sync.standstill(uuid, bigint) is
  'Reader: why nothing of a connection is sent at the moment, since when and until when; no row while it works.';
