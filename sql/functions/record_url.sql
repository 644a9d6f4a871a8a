-- In plpgsql, where a plan is kept: it is asked for each row of an answer.
create or replace function crm_sync.record_url(p_integration_id bigint, p_object text, p_id text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select case when crm_sync.is_web_url(u.url) then u.url end
    from public.user_integrations as i
    join public.integration_providers as p on p.id = i.provider_id
    cross join lateral (
      -- a person may have become a lead: Salesforce's ids say of which kind a record is
      select p.config -> 'record_urls' ->> case when p_object = 'contact' and p_id like '00Q%' and p.config -> 'record_urls' ? 'lead' then 'lead' else p_object end as pattern
    ) as r
    cross join lateral (
      select replace(replace(replace(r.pattern, '{account_url}', i.account_url), '{account_id}', i.account_id), '{id}', p_id) as url
    ) as u
    where i.id = p_integration_id and p_id ~ '^[A-Za-z0-9_-]{1,100}$'
  );
end;
$$;
comment on function crm_sync.record_url(bigint, text, text) is
  'Reader: where people open a contact, lead, company or deal of a connection''s CRM, by the CRM''s id; null where that is not known.';
