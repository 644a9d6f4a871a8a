-- Pairs of letters that two names share, as a fraction of all of theirs: enough to find "firstname" for "first_nmae".
create or replace function crm_sync.likeness(p_one text, p_other text) returns double precision
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  with pairs as (
    select v.side, substr(w.word, n.place, 2) as pair
    from (values (1, left(p_one, 100)), (2, left(p_other, 100))) as v (side, name)
    cross join lateral (select '^' || lower(regexp_replace(v.name, '[^[:alnum:]]', '', 'g')) || '$' as word) as w
    cross join lateral generate_series(1, length(w.word) - 1) as n (place)
    group by 1, 2
  )
  select 2.0 * count(*) filter (where p.sides = 2) / greatest(sum(p.sides), 1)
  from (select pair, count(*) as sides from pairs group by pair) as p
$$;
comment on function crm_sync.likeness(text, text) is 'Trigger: how much two names look alike, from 0 to 1; case and punctuation do not count.';
