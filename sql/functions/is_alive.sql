-- The one place that knows for how long a sign of life holds. Volatile, as the clock is, so that the planner puts it into the query that asks.
create or replace function crm_sync.is_alive(p_last_seen_at timestamptz) returns boolean
language sql parallel safe
return p_last_seen_at > clock_timestamp() - interval '2 minutes';
comment on function crm_sync.is_alive(timestamptz) is 'Reader: whether a daemon that gave its last sign of life then counts as alive: for two minutes.';
