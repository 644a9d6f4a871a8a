create or replace function crm_sync.next_slot(p_frequency text, p_now timestamptz) returns timestamptz
language sql stable parallel safe
return case p_frequency
  when 'hourly' then date_trunc('hour', p_now, 'UTC') + interval '1 hour'
  when 'daily' then date_trunc('day', p_now, 'UTC') + interval '1 day'
end;
comment on function crm_sync.next_slot(text, timestamptz) is 'Trigger: when a connection of this frequency works next; null means at once.';
