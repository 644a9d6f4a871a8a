-- Without a SET clause: part of the query that asks.
create or replace function crm_sync.address_fault(p_email text) returns text
language sql immutable parallel safe
return case
  when coalesce(btrim(p_email), '') = '' then 'the contact has no e-mail address'
  when length(btrim(p_email)) > 254 or btrim(p_email) !~ '^[^@[:space:]<>,;]+@[^@[:space:]<>,;]+\.[^@[:space:]<>,;.]+$' then 'the contact''s e-mail address is malformed'
end;
comment on function crm_sync.address_fault(text) is 'Worker: why no CRM could know a contact by this e-mail address; null where it could.';
