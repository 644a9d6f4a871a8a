create or replace view crm_sync.workers with (security_invoker = true) as
select
  d.id,
  d.host,
  d.pid,
  d.version,
  crm_sync.is_alive(d.last_seen_at) as is_alive,
  d.armed as is_armed,
  case when d.armed then d.armed_at end as armed_since,
  d.listening as is_listening,
  b.batches,
  d.started_at,
  d.last_seen_at,
  d.clock_offset,
  d.schema_version
from crm_sync.daemons as d
cross join lateral (select count(*) as batches from crm_sync.batches as b where b.worker_id = d.id) as b;
comment on view crm_sync.workers is 'Reader: the daemons: who is alive, who sleeps and waits for the bell, since when.';
comment on column crm_sync.workers.id is 'Chosen by the daemon at its start.';
comment on column crm_sync.workers.host is 'Where it runs.';
comment on column crm_sync.workers.pid is 'Its process id there.';
comment on column crm_sync.workers.version is 'Its version.';
comment on column crm_sync.workers.is_alive is 'Whether it gave a sign of life in the last two minutes.';
comment on column crm_sync.workers.is_armed is 'It sleeps, and whoever enqueues rings it.';
comment on column crm_sync.workers.armed_since is 'Since when it sleeps.';
comment on column crm_sync.workers.is_listening is 'It has a LISTEN connection; otherwise it polls.';
comment on column crm_sync.workers.batches is 'Batches it is working on.';
comment on column crm_sync.workers.started_at is 'When it started.';
comment on column crm_sync.workers.last_seen_at is 'Its last sign of life.';
comment on column crm_sync.workers.clock_offset is 'By how much its clock is ahead of the database''s; negative: behind. Null: not measured yet.';
comment on column crm_sync.workers.schema_version is 'The newest migration that it knows of; null of a daemon of before, which does not tell.';
