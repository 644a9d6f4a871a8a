create or replace function crm_sync.finish_delivery(
  p_endpoint text, p_id uuid, p_attempts integer, p_outcome text, p_status integer default null, p_reason text default null,
  p_retry_after double precision default null
) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_outcome is null or p_outcome not in ('delivered', 'later', 'gone') then
    raise exception using errcode = 'CS075', message = format('%s is no outcome of a delivery', coalesce(p_outcome, 'null')),
      hint = 'There are delivered, later and gone.';
  end if;
  update crm_sync.deliveries as d
  set delivered_at = case when p_outcome = 'delivered' then now() end,
    given_up_at = case when p_outcome = 'gone' then now() end,
    last_status = p_status,
    last_error = p_reason,
    next_attempt_at = case
      when p_outcome = 'later' then greatest(d.next_attempt_at, now() + make_interval(secs => least(greatest(coalesce(p_retry_after, 0), 0), 86400)))
      else d.next_attempt_at
    end
  where d.id = p_id and d.attempts = p_attempts and d.delivered_at is null and d.given_up_at is null;
  if not found then
    return false; -- somebody else is at it, or is done
  end if;
  if p_outcome = 'gone' then
    update crm_sync.webhooks as w set gone_at = now() where w.endpoint = p_endpoint and w.gone_at is null;
  end if;
  return true;
end;
$$;
comment on function crm_sync.finish_delivery(text, uuid, integer, text, integer, text, double precision) is
  'Worker: what became of a message to the webhook: delivered; to be tried later, for a reason; or gone, which ends all messages to this receiver. False: it is not the caller''s any more.';
