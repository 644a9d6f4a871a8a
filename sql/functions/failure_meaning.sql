-- Called for each cause of a view, never for each row. It has no settings of its own, so that the planner can make it a part
-- of the query that asks.
create or replace function crm_sync.failure_meaning(p_provider text, p_kind text, p_code text)
returns table (meaning text, remedy text, who_must_act text, is_known boolean)
language sql stable parallel safe
as $$
  select
    case when f.is_known then f.meaning
      else format('this version does not know the code %s; it is treated as %s: %s', p_code, p_kind, f.meaning) end,
    f.remedy, f.who_must_act, f.is_known
  from (
    select coalesce(e.own_meaning, e.meaning) as meaning, coalesce(e.own_remedy, e.remedy) as remedy,
      coalesce(e.own_who_must_act, e.who_must_act) as who_must_act, c.place < 5 or p_code is null or p_kind in ('connection', 'mapping') as is_known
    from (
      select 1 as place, p_provider as provider, p_code as code
      union all
      select 2, '', p_code
      union all
      (
        -- of several beginnings the longest says most
        select case when g.provider = '' then 4 else 3 end, g.provider, g.code
        from crm_sync.errors as g
        where g.code like '%*' and g.provider in (p_provider, '') and starts_with(p_code, left(g.code, -1))
        order by 1, length(g.code) desc
        limit 1
      )
      union all
      select 5, '', upper(p_kind)
      union all
      select 6, '', 'OTHER'
    ) as c
    join crm_sync.errors as e on e.provider = c.provider and e.code = c.code
    order by c.place
    limit 1
  ) as f
$$;
comment on function crm_sync.failure_meaning(text, text, text) is
  'Reader: what a CRM''s code for a failure means, what to do and who must, from crm_sync.errors; for a code that is not in there, what its kind means, and that the code is not known.';
