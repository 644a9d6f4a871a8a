create or replace function crm_sync.mapping_in_force(p_organization_id uuid, p_integration_id bigint, p_object text) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('to', r.target, 'from', r.source, 'value', r.constant, 'policy', r.policy,
      'by', case when exists (
        select from jsonb_array_elements(coalesce(i.field_mappings -> p_object, '[]')) as o (rule) where o.rule ->> 'to' = r.target
      ) then 'the connection' else 'the provider' end)) order by r.place)
    from public.user_integrations as i
    cross join lateral unnest(crm_sync.mapping_rules(p_organization_id, p_integration_id, p_object))
      with ordinality as r (target, source, constant, words, only_mapped, options, substitute, keeps_unknown, policy, ranks, place)
    where i.organization_id = p_organization_id and i.id = p_integration_id
  );
end;
$$;
comment on function crm_sync.mapping_in_force(uuid, bigint, text) is
  'Reader: the rules by which an object''s fields are filled now: where to, from which of ours or which constant, when it may replace, and who chose it.';
