create or replace function crm_sync.same_account(p_one text, p_other text) returns boolean
language sql immutable strict parallel safe
return p_one = p_other
  -- Salesforce writes ids with 15 or with 18 characters
  or (left(p_one, 15) = left(p_other, 15) and p_one ~ '^00D[0-9A-Za-z]{12}([0-9A-Z]{3})?$' and p_other ~ '^00D[0-9A-Za-z]{12}([0-9A-Z]{3})?$');
comment on function crm_sync.same_account(text, text) is 'Worker: whether two ids that a CRM gave name the same account.';
