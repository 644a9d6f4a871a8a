-- A sample says itself what was done since the one before: whoever draws the last minutes need not look up one for each.
alter table crm_sync.samples
add column synced_since bigint,
add column given_up_since bigint;
comment on column crm_sync.samples.synced_since is 'Rows that the CRM confirmed since the sample before; null in samples of an earlier version.';
comment on column crm_sync.samples.given_up_since is 'Rows that ended as failed since the sample before; null in samples of an earlier version.';
