create or replace view crm_sync.sleepers with (security_invoker = true) as
select d.id from crm_sync.daemons as d where d.armed and crm_sync.is_alive(d.last_seen_at);
comment on view crm_sync.sleepers is 'Reader: the daemons that sleep; whoever enqueues rings for them.';
comment on column crm_sync.sleepers.id is 'Chosen by the daemon at its start.';
