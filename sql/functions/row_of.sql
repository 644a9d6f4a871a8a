create or replace function crm_sync.row_of(p_organization_id uuid, p_row_id bigint) returns setof public.sync_queue
language sql stable parallel safe rows 1
as $$
  select q.* from public.sync_queue as q
  where q.organization_id = p_organization_id and q.id = p_row_id
  limit 1
$$;
comment on function crm_sync.row_of(uuid, bigint) is 'Worker: a row of the queue by its key, whatever the statistics say.';
