create or replace function crm_sync.minute_words(p_minutes numeric) returns text
language sql immutable parallel safe
return case
  when p_minutes < 2 then 'a minute'
  when p_minutes < 120 then format('%s minutes', floor(p_minutes))
  when p_minutes < 2880 then format('%s hours', floor(p_minutes / 60))
  else format('%s days', floor(p_minutes / 1440))
end;
comment on function crm_sync.minute_words(numeric) is 'Worker: so many minutes in words for people, in their largest unit.';
