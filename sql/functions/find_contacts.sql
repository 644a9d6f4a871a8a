-- Everything here is bounded: words are looked for until enough are found, and without words the newest of a few hundred
-- rows speak for all. An index of the host application (pg_trgm) on the first of the four columns helps; none is demanded.
create or replace function crm_sync.find_contacts(
  p_text text default null, p_state text default null, p_integration_id bigint default null, p_limit integer default 50
)
returns table (contact_id uuid, organization_id uuid, email text, first_name text, last_name text, company text)
language plpgsql stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_limit integer := least(greatest(p_limit, 1), 200);
  v_organizations uuid[] := array(select crm_sync.member_organizations());
  v_integrations bigint[] := array(
    select i.id from public.user_integrations as i
    where i.organization_id = any (v_organizations) and (p_integration_id is null or i.id = p_integration_id)
  );
  v_words text[];
begin
  v_words := array(
    select '%' || replace(replace(replace(w.word, '\', '\\'), '%', '\%'), '_', '\_') || '%'
    from unnest(regexp_split_to_array(left(btrim(coalesce(p_text, '')), 200), '\s+')) as w (word)
    where w.word <> ''
    order by length(w.word) desc -- the longest leads: it finds fewest
    limit 5
  );
  if cardinality(v_words) > 0 then
    return query
    select k.id, k.organization_id, k.email::text, k.first_name::text, k.last_name::text, k.company::text
    from public.contacts as k
    where k.organization_id = any (v_organizations)
      and (k.email ilike v_words[1] or k.first_name ilike v_words[1] or k.last_name ilike v_words[1] or k.company ilike v_words[1])
      and not exists (
        select from unnest(v_words) as w (word)
        where (k.email ilike w.word or k.first_name ilike w.word or k.last_name ilike w.word or k.company ilike w.word) is not true
      )
    limit v_limit;
    return;
  end if;

  return query
  with recent as (
    -- the rows that speak for a state, each out of an index of its own
    select q.contact_id, q.id
    from unnest(v_organizations) as o (id)
    cross join lateral (
      select q.contact_id, q.id from public.sync_queue as q
      where q.organization_id = o.id and (p_integration_id is null or q.integration_id = p_integration_id)
      order by q.id desc
      limit 1000
    ) as q
    where p_state is null
    union all
    select q.contact_id, q.id
    from unnest(v_integrations) as i (id)
    cross join lateral (
      select q.contact_id, q.id from public.sync_queue as q
      where q.integration_id = i.id and q.completed_at is not null and q.failure is not null
      order by q.completed_at desc
      limit 1000
    ) as q
    where p_state = 'failed'
    union all
    select q.contact_id, q.id
    from unnest(v_integrations) as i (id)
    cross join lateral (
      select q.contact_id, q.id from public.sync_queue as q
      where q.integration_id = i.id and q.completed_at is not null and q.failure is null and q.last_error is not null
      limit 1000
    ) as q
    where p_state = 'skipped'
    union all
    select q.contact_id, q.id
    from unnest(v_integrations) as i (id)
    cross join lateral (
      select q.contact_id, q.id from public.sync_queue as q where q.integration_id = i.id and q.completed_at is null limit 1000
    ) as q
    where p_state = 'waiting'
    union all
    select m.contact_id, m.id
    from unnest(v_integrations) as i (id)
    cross join lateral (
      select m.contact_id, m.id from public.contact_sync_mappings as m
      where m.organization_id = any (v_organizations) and m.integration_id = i.id and m.sync_status = 'synced'
      limit 1000
    ) as m
    where p_state = 'synced' or p_state is null
  ),
  newest as (
    select r.contact_id, max(r.id) as id from recent as r where r.contact_id is not null group by r.contact_id order by 2 desc limit v_limit
  )
  select k.id, k.organization_id, k.email::text, k.first_name::text, k.last_name::text, k.company::text
  from newest as n
  cross join lateral (
    select k.* from public.contacts as k where k.id = n.contact_id and k.organization_id = any (v_organizations) limit 1
  ) as k
  order by n.id desc;
end;
$$;
comment on function crm_sync.find_contacts(text, text, bigint, integer) is
  'Reader: contacts of the asking user''s organizations by words of their address, name or company; without words those that something happened to last, or that are waiting, failed, skipped or synced.';
