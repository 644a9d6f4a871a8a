create or replace function crm_sync.claim_database() returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into crm_sync.fence as f (system_identifier, database_oid, claimed_by, timeline)
  select d.system_identifier, d.database_oid, session_user, crm_sync.timeline() from crm_sync.database_identity() as d
  on conflict (is_only) do update
  set system_identifier = excluded.system_identifier, database_oid = excluded.database_oid, generation = f.generation + 1,
    claimed_at = now(), claimed_by = excluded.claimed_by,
    timeline = excluded.timeline, doubtful_before = now()
  returning f.generation
$$;
comment on function crm_sync.claim_database() is 'Operator: this database is the one that sends; daemons that were running go by it after a new start. Returns the generation.';
