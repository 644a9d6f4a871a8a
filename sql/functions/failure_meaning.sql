-- Called for each cause of a view, never for each row. It has no settings of its own, so that the planner can make it a part
-- of the query that asks; each look is taken only where the ones before found nothing.
create or replace function crm_sync.failure_meaning(p_provider text, p_kind text, p_code text)
returns table (meaning text, remedy text, who_must_act text, is_known boolean)
language sql stable parallel safe rows 1
as $$
  select
    case when v.is_known then v.meaning
      else format('this version does not know the code %s; it is treated as %s: %s', p_code, p_kind, v.meaning) end,
    coalesce(a.own_remedy, a.remedy, b.own_remedy, b.remedy, c.remedy, d.own_remedy, d.remedy),
    coalesce(a.own_who_must_act, a.who_must_act, b.own_who_must_act, b.who_must_act, c.who_must_act, d.own_who_must_act, d.who_must_act),
    v.is_known
  from (select p_provider as provider, p_code as code) as asked
  left join crm_sync.errors as a on a.provider = asked.provider and a.code = asked.code
  left join crm_sync.errors as b on b.provider = '' and b.code = asked.code
  left join lateral (
    -- of several beginnings the longest says most
    select coalesce(g.own_meaning, g.meaning) as meaning, coalesce(g.own_remedy, g.remedy) as remedy,
      coalesce(g.own_who_must_act, g.who_must_act) as who_must_act
    from crm_sync.errors as g
    where a.code is null and b.code is null and g.code like '%*' and g.provider in (p_provider, '') and starts_with(asked.code, left(g.code, -1))
    order by g.provider desc, length(g.code) desc
    limit 1
  ) as c on true
  left join lateral (
    select k.*
    from crm_sync.errors as k
    where a.code is null and b.code is null and c.meaning is null and k.provider = '' and k.code in (upper(p_kind), 'OTHER')
    order by k.code = 'OTHER'
    limit 1
  ) as d on true
  cross join lateral (
    select coalesce(a.own_meaning, a.meaning, b.own_meaning, b.meaning, c.meaning, d.own_meaning, d.meaning) as meaning,
      d.code is null or p_code is null or p_kind in ('connection', 'mapping') as is_known
  ) as v
$$;
comment on function crm_sync.failure_meaning(text, text, text) is
  'Reader: what a CRM''s code for a failure means, what to do and who must, from crm_sync.errors; for a code that is not in there, what its kind means, and that the code is not known.';
