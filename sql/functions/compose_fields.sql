create or replace function crm_sync.compose_fields(p_rules jsonb, p_facts jsonb, p_sent jsonb) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
  select coalesce(jsonb_object_agg(x.target, jsonb_strip_nulls(jsonb_build_object(
    'value', x.value,
    'policy', case x.policy
      -- what a person changed in the CRM stays, unless our own value has changed since we last sent it
      when 'when_changed' then case when p_sent ? x.target and p_sent ->> x.target <> x.value then 'always' else 'if_blank' end
      else x.policy
    end,
    'ranks', case when x.policy = 'forward_only' then x.rule -> 'ranks' end
  ))), '{}')
  from (
    select r.rule, r.rule ->> 'to' as target, coalesce(r.rule ->> 'policy', 'always') as policy,
      case
        when not r.rule ? 'options' or v.value is null then v.value
        when r.rule -> 'options' ? lower(v.value) then r.rule -> 'options' ->> lower(v.value)
        when not r.rule ? 'is_default' then v.value
        when r.rule -> 'or_first' = 'true' then r.rule ->> 'first_option'
        when r.rule -> 'is_closed' = 'true' then null -- a default that this account does not know
        else v.value
      end as value
    from jsonb_array_elements(p_rules) as r (rule)
    cross join lateral (
      select crm_sync.trim_blanks(case
        when r.rule ? 'value' then r.rule ->> 'value'
        when r.rule ? 'values' and r.rule -> 'values' ? (p_facts ->> (r.rule ->> 'from')) then r.rule -> 'values' ->> (p_facts ->> (r.rule ->> 'from'))
        when r.rule -> 'only_mapped' = 'true' then null
        else p_facts ->> (r.rule ->> 'from')
      end) as value
      offset 0 -- worked out once, not at each mention
    ) as v
    offset 0
  ) as x
  where x.value <> ''
$$;
comment on function crm_sync.compose_fields(jsonb, jsonb, jsonb) is 'Worker: the fields of a document by the CRM''s names, each with its value and policy; blanks are left out.';
