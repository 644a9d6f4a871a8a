create or replace function crm_sync.read_batch(p_batch_id bigint) returns json
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select crm_sync.compose_batch(p_batch_id)
$$;
comment on function crm_sync.read_batch(bigint) is
  'Worker: a batch that is under way, composed anew once the CRM''s fields have become known; null for a claim that was lost.';
