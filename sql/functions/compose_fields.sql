-- Without a SET clause, so that the planner makes it part of the query that asks: it is asked for each record.
create or replace function crm_sync.compose_fields(p_rules crm_sync.mapping_rule[], p_facts jsonb, p_sent jsonb)
returns table (fields json, sent_fields jsonb)
language sql stable parallel safe
as $$
  select
    coalesce(json_object_agg(r.target, json_build_object(
      'value', v.value,
      'policy', case r.policy
        -- what a person changed in the CRM stays, unless our own value has changed since we last sent it
        when 'when_changed' then case when given.sent ->> r.target <> v.value then 'always' else 'if_blank' end
        else r.policy
      end,
      'ranks', r.ranks
    )), '{}'),
    coalesce(jsonb_object_agg(r.target, v.value), '{}')
  from (select p_facts as facts, p_sent as sent offset 0) as given -- worked out once, not at each mention; so below
  cross join unnest(p_rules) as r
  cross join lateral (
    select crm_sync.trim_blanks(coalesce(r.constant, case
      when r.words ? (given.facts ->> r.source) then r.words ->> (given.facts ->> r.source)
      when not r.only_mapped then given.facts ->> r.source
    end)) as value
    offset 0
  ) as f
  cross join lateral (
    select case when r.options is null or f.value is null then f.value
      else coalesce(r.options ->> lower(f.value), r.substitute, case when r.keeps_unknown then f.value end)
    end as value
    offset 0
  ) as v
  where v.value <> ''
$$;
comment on function crm_sync.compose_fields(crm_sync.mapping_rule[], jsonb, jsonb) is
  'Worker: the fields of a document by the CRM''s names, each with its value and policy, and the values alone; blanks are left out.';
