create or replace function crm_sync.company_key(p_name text) returns text
language sql stable parallel safe -- as convert_to is; else the planner could not make it part of a query
as $$ select 'company:' || left(encode(sha256(convert_to(
  lower(regexp_replace(crm_sync.trim_blanks(normalize(p_name, NFKC)), '\s+', ' ', 'g')), 'UTF8')), 'hex'), 32) $$;
comment on function crm_sync.company_key(text) is 'Worker: our key of a company: the same for names that differ in case or white space only.';
