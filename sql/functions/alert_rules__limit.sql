create or replace function crm_sync.alert_rules__limit() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if crm_sync.rules_at_most() < (
    select count(*) from (
      select from crm_sync.alert_rules as r where r.organization_id = new.organization_id limit crm_sync.rules_at_most() + 1
    ) as r
  ) then
    raise exception using errcode = 'CS072', message = format('an organization has %s rules for alerts at most', crm_sync.rules_at_most()),
      hint = 'Change or delete one: select name, condition, threshold from crm_sync.alert_rules where organization_id is not null.';
  end if;
  return null;
end;
$$;
comment on function crm_sync.alert_rules__limit() is 'Trigger: refuses more rules of one organization than are looked at, as all are measured for everybody together.';
