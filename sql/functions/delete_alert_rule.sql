-- A function, and no right to DELETE: see delete_connection.
create or replace function crm_sync.delete_alert_rule(p_rule_id bigint) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rule crm_sync.alert_rules;
begin
  select * into v_rule from crm_sync.alert_rules as r where r.id = p_rule_id;
  -- the same answer for what does not exist and for what is not yours
  if v_rule.id is null or crm_sync.caller_may_manage(v_rule.organization_id) is not true then
    raise exception using errcode = 'CS021', message = format('there is no rule %s that you may delete', coalesce(p_rule_id::text, 'null')),
      hint = 'The rules there are: select id, organization_id, name from crm_sync.alert_rules; the common ones are the operators''.';
  end if;
  delete from crm_sync.alert_rules as r where r.id = p_rule_id;
  return found;
end;
$$;
comment on function crm_sync.delete_alert_rule(bigint) is
  'Operator: deletes a rule of alerts, of the caller''s organization or, for operators, a common one. False: it was just deleted.';
