create or replace function crm_sync.who_words(p_who text) returns text
language sql immutable parallel safe
return case
  when p_who is null then 'an operator'
  when p_who ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then 'a member (' || p_who || ')'
  else p_who
end;
comment on function crm_sync.who_words(text) is 'Reader: whoever did something as people read it: a role by its name, a user as a member with the id.';
