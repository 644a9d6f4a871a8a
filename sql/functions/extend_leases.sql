create or replace function crm_sync.extend_leases(p_worker_id uuid, p_batch_ids bigint[], p_lease interval default '60 seconds') returns bigint[]
language sql
security definer
set search_path = ''
as $$
  with extended as (
    update crm_sync.batches as b
    set lease_until = clock_timestamp() + p_lease
    where b.id = any (p_batch_ids) and b.worker_id = p_worker_id
    returning b.id
  )
  select coalesce(array_agg(e.id), '{}') from extended as e
$$;
comment on function crm_sync.extend_leases(uuid, bigint[], interval) is 'Worker: renews the leases of batches under way; returns those it still holds.';
