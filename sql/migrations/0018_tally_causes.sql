-- Why rows fail, as it was counted, is kept in the types in which it is asked for: a document in jsonb is parsed whenever
-- somebody asks. Nothing is carried over: what was counted is counted again, and looked at until then.
create type crm_sync.cause as (
  kind text, queue_type text, code text, field text, message text, count bigint, retrying bigint, first_at timestamptz, last_at timestamptz,
  newest_id bigint, contact_id uuid, message_id uuid, is_rest boolean
);
alter type crm_sync.cause owner to crm_sync_owner;
comment on type crm_sync.cause is 'What stopped rows of a connection, and how many: a line of what crm_sync.failed_causes() and crm_sync.retrying_causes() tell.';

delete from crm_sync.tallies;
alter table crm_sync.tallies
  -- squawk-ignore ban-drop-column
  drop column retrying_causes,
  -- squawk-ignore ban-drop-column
  drop column failed_causes,
  add column retrying_causes crm_sync.cause[],
  add column failed_causes crm_sync.cause[];
comment on column crm_sync.tallies.retrying_causes is 'Why rows were to be tried again: a list of causes, those first that stop most.';
comment on column crm_sync.tallies.failed_causes is 'Why rows had failed: a list of causes, those first that stop most.';
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.main_causes(jsonb, integer);
