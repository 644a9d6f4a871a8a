create or replace function crm_sync.account_words(p_name text, p_id text) returns text
language sql immutable parallel safe
return case when p_id is null then 'an account that the CRM does not name' when p_name is null then 'account ' || p_id else p_name || ' (' || p_id || ')' end;
comment on function crm_sync.account_words(text, text) is 'Worker: an account as people read it: its name and its id.';
