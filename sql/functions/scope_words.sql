create or replace function crm_sync.scope_words(p_scope text, p_key text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(case p_scope
    when 'everything' then 'everything'
    when 'provider' then (select p.display_name from public.integration_providers as p where p.name = p_key)
    when 'organization' then (select 'organization ' || o.name from public.organizations as o where o.id = p_key::uuid)
    else (
      select format('connection %s (%s %s)', i.id, p.display_name, to_jsonb(i.name))
      from public.user_integrations as i
      join public.integration_providers as p on p.id = i.provider_id
      where i.id = p_key::bigint
    )
  end, concat_ws(' ', p_scope, nullif(p_key, '')))
$$;
comment on function crm_sync.scope_words(text, text) is 'Operator: what a pause holds as people read it: by names, and by its key where it has none any more.';
