-- Without settings of its own, so that the planner can put it into the query that asks: it runs as whoever asks.
create or replace function crm_sync.connection_state(p_status text, p_lane crm_sync.lanes) returns text
language sql stable
return case
  when p_status not in ('connected', 'syncing') then p_status
  when p_lane.paused_at is not null then 'paused'
  when p_lane.parked_until > now() then p_lane.parked_kind
  else p_status
end;
comment on function crm_sync.connection_state(text, crm_sync.lanes) is 'Reader: a connection''s state: its status, or why it is left alone.';
