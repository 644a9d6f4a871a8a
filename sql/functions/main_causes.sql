create or replace function crm_sync.main_causes(p_causes jsonb, p_most integer default 100) returns jsonb
language sql immutable
set search_path = ''
as $$
  with causes as materialized (
    select c.value, row_number() over (order by (c.value ->> 'count')::bigint desc, (c.value ->> 'newest_id')::bigint desc) as place
    from jsonb_array_elements(p_causes) as c
  )
  select coalesce(jsonb_agg(v.value order by v.place), '[]')
  from (
    select c.value, c.place from causes as c where c.place <= p_most
    union all
    select jsonb_build_object('kind', 'other', 'message', 'other causes', 'count', sum((c.value ->> 'count')::bigint),
      'retrying', sum((c.value ->> 'retrying')::bigint), 'first_at', min((c.value ->> 'first_at')::timestamptz),
      'last_at', max((c.value ->> 'last_at')::timestamptz), 'newest_id', max((c.value ->> 'newest_id')::bigint), 'is_rest', true), p_most + 1
    from causes as c
    where c.place > p_most
    having count(*) > 0
  ) as v
$$;
comment on function crm_sync.main_causes(jsonb, integer) is 'Worker: of a list of causes those that stop most rows, and the others summed as one.';
