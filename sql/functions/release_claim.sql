-- Named is what may be released, not what may not: a daemon that forgot, or a crash that undid, what it has said of a batch cannot
-- make one that was worked on look as if it were not. One batch in a transaction, as it takes a lane's lock.
create or replace function crm_sync.release_claim(p_worker_id uuid, p_claim_ids uuid[]) returns uuid
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch record;
begin
  select b.id, b.claim_id into v_batch
  from crm_sync.batches as b
  where b.worker_id = p_worker_id and b.claim_id = any (p_claim_ids)
  order by b.id
  limit 1;
  if found then
    perform crm_sync.release_batch(v_batch.id);
    perform crm_sync.ring();
  end if;
  return v_batch.claim_id;
end;
$$;
comment on function crm_sync.release_claim(uuid, uuid[]) is
  'Worker: hands back what one of these claims has taken, whose answers the daemon never heard: nothing was sent for it; returns which, null when there is none (any more, or yet).';
