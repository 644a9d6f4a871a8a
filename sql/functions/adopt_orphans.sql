create or replace function crm_sync.adopt_orphans(p_limit integer default 1000) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids uuid[];
begin
  with adopted as (
    delete from crm_sync.orphans as o
    where o.classification_id in (
      select x.classification_id
      from crm_sync.orphans as x
      join public.inbox_messages as m on m.id = x.message_id and m.organization_id is not null
      order by x.seen_at
      limit p_limit
      for update of x skip locked
    )
    returning o.classification_id, o.seen_at
  )
  select array_agg(a.classification_id order by a.seen_at) into v_ids from adopted as a;
  if v_ids is not null then
    perform crm_sync.enqueue_classifications(v_ids);
  end if;
  return coalesce(cardinality(v_ids), 0);
end;
$$;
comment on function crm_sync.adopt_orphans(integer) is 'Worker: enqueues classifications whose message has arrived after them; returns how many.';
