create or replace function crm_sync.settings_problem(p_settings jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text;
  v_value jsonb;
begin
  if jsonb_typeof(p_settings) <> 'object' then
    return 'must be an object';
  end if;
  for v_key, v_value in select key, value from jsonb_each(p_settings) loop
    case v_key
      when 'auto_sync_contacts', 'auto_create_deals', 'log_activities', 'attention_tasks', 'interested_overtake' then
        if jsonb_typeof(v_value) <> 'boolean' then
          return format('%s must be true or false, not %s', v_key, v_value);
        end if;
      when 'deal_pipeline', 'deal_stage' then
        if jsonb_typeof(v_value) <> 'string' or btrim(v_value #>> '{}') = '' or length(v_value #>> '{}') > 255 then
          return format('%s must be a text of at most 255 letters, not %s', v_key, left(v_value::text, 300));
        end if;
      when 'lead_source' then
        if jsonb_typeof(v_value) not in ('string', 'null') or length(v_value #>> '{}') > 255 then
          return format('lead_source must be a text of at most 255 letters or null, not %s', left(v_value::text, 300));
        end if;
      when 'deal_amount' then
        if jsonb_typeof(v_value) <> 'null' and (jsonb_typeof(v_value) <> 'number' or v_value < '0' or v_value > '1000000000000') then
          return format('deal_amount must be a number of 0 or more, or null for none, not %s', left(v_value::text, 300));
        end if;
      when 'deal_close_days' then
        if jsonb_typeof(v_value) <> 'number' or v_value < '0' or v_value > '3650' or v_value::text !~ '^[0-9]+$' then
          return format('deal_close_days must be a whole number from 0 to 3650, not %s', v_value);
        end if;
      when 'task_due_days' then
        if jsonb_typeof(v_value) <> 'number' or v_value < '0' or v_value > '365' or v_value::text !~ '^[0-9]+$' then
          return format('task_due_days must be a whole number from 0 to 365, not %s', v_value);
        end if;
      when 'contact_object' then
        if v_value not in ('"contact"', '"lead"') then
          return format('contact_object must be "contact" or "lead", not %s', v_value);
        end if;
      when 'deal_currency' then
        if jsonb_typeof(v_value) <> 'null' and (jsonb_typeof(v_value) <> 'string' or v_value #>> '{}' !~ '^[A-Za-z]{3}$') then
          return format('deal_currency must be the three letters of a currency like "EUR", or null for the CRM''s own, not %s', v_value);
        end if;
      when 'status_values' then
        if jsonb_typeof(v_value) <> 'object'
          or exists (
            select from jsonb_each(v_value) as s
            where s.key not in ('new', 'contacted', 'qualified', 'unqualified') or jsonb_typeof(s.value) not in ('string', 'null') or length(s.value #>> '{}') > 255
          )
        then
          return format('status_values maps new, contacted, qualified and unqualified to texts of the CRM (null: leave it alone), not %s', left(v_value::text, 300));
        end if;
      else
        null; -- a setting of a newer version or of the host application
    end case;
  end loop;
  return null;
end;
$$;
comment on function crm_sync.settings_problem(jsonb) is 'Trigger: what is wrong with the settings of a connection, in plain words; null when nothing is.';
