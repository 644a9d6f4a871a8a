-- What others' rows may quote of a person: an address, a telephone number, the full name, the id. A first name alone would be found
-- in what is about others.
create or replace function crm_sync.traces_pattern(p_organization_id uuid, p_contact_id uuid, p_words text[] default '{}') returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with known as materialized (
    select lower(btrim(k.email::text)) as word, true as is_address, false as is_phone from public.contacts as k where k.id = p_contact_id and k.organization_id = p_organization_id
    union
    select btrim(k.phone::text), false, true from public.contacts as k where k.id = p_contact_id and k.organization_id = p_organization_id
    union
    select concat_ws(' ', btrim(k.first_name::text), btrim(k.last_name::text)), false, false from public.contacts as k
    where k.id = p_contact_id and k.organization_id = p_organization_id and btrim(k.first_name::text) <> '' and btrim(k.last_name::text) <> ''
    union
    -- where the host application has changed or deleted the contact: what was sent of it
    select lower(btrim(f.value)), true, false
    from (
      select m.sync_data -> 'fields' as fields from public.contact_sync_mappings as m where m.contact_id = p_contact_id and m.organization_id = p_organization_id
      union all
      select l.request_data from public.sync_activity_logs as l
      where l.organization_id = p_organization_id and l.contact_id = p_contact_id and l.activity_type = 'sync_contact'
    ) as d
    cross join lateral jsonb_each_text(case when jsonb_typeof(d.fields) = 'object' then d.fields else '{}' end) as f
    where f.key ~* 'e-?mail' and f.value ~ '^[^@\s]+@[^@\s]+$'
    union
    select btrim(u.word), false, false from unnest(p_words) as u (word)
  ),
  spelled as (
    -- not in the middle of a longer address, name or number
    select case when k.is_address then '(?<![[:alnum:]._%+-])' when k.word ~ '^[[:alnum:]]' then '(?<![[:alnum:]])' else '' end
      || regexp_replace(w.word, '([^[:alnum:]])', '\\\1', 'g') as pattern
    from known as k
    cross join lateral unnest(array[k.word, case when k.is_address then replace(k.word, '@', '%40') end]) as w (word)
    where length(w.word) between 6 and 400 and not k.is_phone -- a regular expression costs by its length
    union all
    -- a telephone number however it is written
    select '(?<![[:alnum:]])(?:00|\+)?' || regexp_replace(d.digits, '(\d)(?=\d)', '\1[^[:alnum:]]{0,3}', 'g')
    from known as k
    cross join lateral (select regexp_replace(k.word, '\D', '', 'g') as digits) as d
    where k.is_phone and length(d.digits) between 6 and 40
    union all
    select p_contact_id::text
  )
  select '(?:' || string_agg(s.pattern, '|' order by length(s.pattern) desc, s.pattern) || ')(?![[:alnum:]]|[.-][[:alnum:]])'
  from spelled as s
$$;
comment on function crm_sync.traces_pattern(uuid, uuid, text[]) is
  'Operator: a regular expression for what texts about others may quote of a contact: e-mail addresses, telephone number, full name, id, and these words.';
