create or replace function crm_sync.connection_state(p_status text, p_lane crm_sync.lanes) returns text
language sql stable
set search_path = ''
as $$
  select case
    when p_status not in ('connected', 'syncing') then p_status
    when p_lane.paused_at is not null then 'paused'
    when p_lane.parked_until > now() then p_lane.parked_kind
    else p_status
  end
$$;
comment on function crm_sync.connection_state(text, crm_sync.lanes) is 'Worker: a connection''s state as crm_sync.status shows it: its status, or why it is left alone.';
