-- What the operator's surface still lacked: the daemons' clocks, and which alert explains a condition.
alter table crm_sync.daemons add column clock_offset interval;
comment on column crm_sync.daemons.clock_offset is 'By how much its clock is ahead of the database''s, as it measured with its last sign of life but one; negative: behind. Null: not measured yet.';

-- a daemon of an older version goes on calling it with one argument: the new one has a default
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.beat(uuid);

-- with one more column each
-- squawk-ignore ban-drop-view
drop view if exists crm_sync.conditions;
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.current_conditions();

-- however often somebody flips a setting, the audit stays small
alter table crm_sync.changes
  add column changes integer not null default 1,
  add column first_changed_at timestamptz,
  add column others text[];
comment on column crm_sync.changes.changes is 'How many changes this entry is, from the first one''s old to the last one''s new: an organization that has made 200 entries within a day gets one a day for each thing.';
comment on column crm_sync.changes.first_changed_at is 'Of several changes, when the first was.';
comment on column crm_sync.changes.others is 'Of several changes, who made those before the last one, besides changed_by.';
comment on table crm_sync.changes is 'Every change of a setting: connections, rules, CRMs, config; written by triggers, changed by nobody, never with credentials.';
comment on column crm_sync.changes.changed_at is 'When; of several changes, when the last was.';
comment on column crm_sync.changes.changed_by is 'Who: the user''s id, else the role; or that it was found when the audit began. Of several changes, who made the last.';
comment on column crm_sync.changes.old is 'The settings before; null for an insert; {} for what was made and deleted again within one entry. Secrets are blanked.';
