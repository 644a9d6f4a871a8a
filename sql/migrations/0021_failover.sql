-- What a daemon did just before a failover may be known to the CRM alone.
alter table crm_sync.fence add column timeline integer;
alter table crm_sync.fence add column doubtful_before timestamptz;
comment on column crm_sync.fence.timeline is 'The history that the server wrote on when a daemon last connected: a promotion begins another one. Empty where the server does not tell.';
comment on column crm_sync.fence.doubtful_before is 'What was enqueued before this time may have been sent without this database knowing of it, so the CRM is looked into first; when a restored copy was claimed or a replica promoted.';
