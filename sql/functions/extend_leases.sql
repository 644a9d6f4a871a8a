-- A batch that somebody holds locked (who erases a person in it, or deletes its connection) is not waited for: the leases of all
-- others would end meanwhile. It is still held as long as its own lease is.
create or replace function crm_sync.extend_leases(p_worker_id uuid, p_batch_ids bigint[], p_lease interval default '60 seconds') returns bigint[]
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  with free as materialized (
    select b.id from crm_sync.batches as b where b.id = any (p_batch_ids) and b.worker_id = p_worker_id for no key update skip locked
  ),
  extended as (
    update crm_sync.batches as b
    set lease_until = clock_timestamp() + p_lease
    from free as f
    where b.id = f.id
    returning b.id
  )
  select coalesce(array_agg(h.id), '{}')
  from (
    select e.id from extended as e
    union
    select b.id from crm_sync.batches as b where b.id = any (p_batch_ids) and b.worker_id = p_worker_id and b.lease_until > clock_timestamp()
  ) as h
$$;
comment on function crm_sync.extend_leases(uuid, bigint[], interval) is 'Worker: renews the leases of batches under way; returns those it still holds.';
