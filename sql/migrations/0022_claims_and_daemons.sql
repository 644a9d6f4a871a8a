-- A daemon that has not heard the answer to a claim hands back, by the name that it gave the claim, what was taken for it.
alter table crm_sync.batches add column claim_id uuid;
comment on column crm_sync.batches.claim_id is 'The daemon''s own name for the claim, under which it hands the batch back if it never heard of it; null of a daemon of before.';

-- squawk-ignore ban-drop-function
drop function if exists crm_sync.claim_batch(uuid, integer, bigint[], interval, jsonb);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.claim_lane(uuid, bigint, integer, interval);

-- Which schema a daemon was made for: versions in words do not say which of two is older, or whether it is the schema that is.
alter table crm_sync.daemons add column schema_version integer;
comment on column crm_sync.daemons.schema_version is 'The newest migration that it knows of; null of a daemon of before, which does not tell.';

-- squawk-ignore ban-drop-function
drop function if exists crm_sync.register_worker(uuid, text, integer, text, boolean);
