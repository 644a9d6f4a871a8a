create or replace function crm_sync.main_causes(p_causes crm_sync.cause[], p_most integer default 100) returns crm_sync.cause[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  with causes as materialized (
    select c.*, row_number() over (order by c.count desc, c.newest_id desc) as place from unnest(p_causes) as c
  )
  select coalesce(array_agg(v.cause order by v.place), '{}')
  from (
    select (c.kind, c.queue_type, c.code, c.field, c.message, c.count, c.retrying, c.first_at, c.last_at, c.newest_id, c.contact_id, c.message_id,
      c.is_rest)::crm_sync.cause as cause, c.place
    from causes as c
    where c.place <= p_most
    union all
    select ('other', null, null, null, 'other causes', sum(c.count), sum(c.retrying), min(c.first_at), max(c.last_at), max(c.newest_id), null, null,
      true)::crm_sync.cause, p_most + 1
    from causes as c
    where c.place > p_most
    having count(*) > 0
  ) as v
$$;
comment on function crm_sync.main_causes(crm_sync.cause[], integer) is 'Worker: of a list of causes those that stop most rows, and the others summed as one.';
