-- The caller says by a hash where it sends, so that messages are queued only where somebody sends them.
create or replace function crm_sync.claim_delivery(p_endpoint text) returns table (id uuid, type text, payload text, attempts integer)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_endpoint is null or p_endpoint !~ '^[0-9a-f]{64}$' then
    raise exception using errcode = 'CS074', message = 'an endpoint is named by the SHA-256 of its URL, in hexadecimal',
      hint = 'Daemons and consoles do so by themselves: set CRM_SYNC_WEBHOOK_URL and CRM_SYNC_WEBHOOK_SECRET.';
  end if;
  if not exists (select from crm_sync.webhooks as w where w.endpoint = p_endpoint and w.seen_at > now() - interval '1 hour') then
    insert into crm_sync.webhooks as w (endpoint) values (p_endpoint)
    on conflict (endpoint) do update set seen_at = now();
  end if;
  if exists (select from crm_sync.webhooks as w where w.endpoint = p_endpoint and w.gone_at is not null) then
    return;
  end if;
  update crm_sync.deliveries as d
  set given_up_at = now()
  where d.id = any (array(
    select x.id from crm_sync.deliveries as x
    where x.next_attempt_at <= now() and x.delivered_at is null and x.given_up_at is null and x.created_at < now() - interval '3 days'
    for update skip locked -- nobody's open transaction holds up all messages
  ));
  return query
  update crm_sync.deliveries as d
  set attempts = d.attempts + 1,
    next_attempt_at = now() + crm_sync.retry_delay(d.attempts + 1, '30 seconds', '6 hours')
  where d.id = (
    select x.id from crm_sync.deliveries as x
    where x.next_attempt_at <= now() and x.delivered_at is null and x.given_up_at is null
    order by x.next_attempt_at, x.created_at
    limit 1
    for update skip locked
  )
  returning d.id, d.type, d.payload::text, d.attempts;
end;
$$;
comment on function crm_sync.claim_delivery(text) is
  'Worker: the next message for the webhook with this hash, which is the caller''s for some twenty seconds; no row: nothing is due, or the receiver is gone. What three days were not enough for is given up on the way.';
