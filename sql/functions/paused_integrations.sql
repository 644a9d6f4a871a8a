create or replace function crm_sync.paused_integrations(p_scope text, p_key text) returns setof bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select i.id
  from public.user_integrations as i
  where case p_scope
    when 'everything' then true
    when 'provider' then i.provider_id = (select p.id from public.integration_providers as p where p.name = p_key)
    when 'organization' then i.organization_id::text = p_key
    else i.id::text = p_key
  end
  order by i.id
$$;
comment on function crm_sync.paused_integrations(text, text) is 'Operator: the connections that a pause of this scope and key concerns.';
