create or replace function crm_sync.status_ranks(p_words jsonb, p_ranks jsonb) returns jsonb
language plpgsql immutable parallel safe strict
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    -- the CRM's values that mean as much as ours of the same rank, and ours: the connection may have named its own
    select jsonb_agg(
      coalesce(p_ranks -> g.rank, '[]') || (
        select coalesce(jsonb_agg(v.value), '[]')
        from jsonb_each(p_words) as v
        where crm_sync.status_rank(v.key) = g.rank and jsonb_typeof(v.value) = 'string'
      )
      order by g.rank
    )
    from generate_series(0, 2) as g (rank)
  );
end;
$$;
comment on function crm_sync.status_ranks(jsonb, jsonb) is 'Worker: the CRM''s values for a contact''s status, from the first rank to the last.';
