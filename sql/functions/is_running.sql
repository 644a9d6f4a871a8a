create or replace function crm_sync.is_running() returns boolean
language sql stable
security definer
set search_path = ''
return exists (select from crm_sync.daemons as d where d.last_seen_at > clock_timestamp() - interval '2 minutes');
comment on function crm_sync.is_running() is 'Reader: whether any daemon gave a sign of life in the last two minutes; all that members are told of the daemons.';
