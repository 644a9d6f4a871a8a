create or replace function crm_sync.status_rank(p_status text) returns integer
language sql immutable parallel safe
return case p_status when 'new' then 0 when 'contacted' then 1 when 'qualified' then 2 when 'unqualified' then 2 end;
comment on function crm_sync.status_rank(text) is 'Worker: a contact''s status never moves to a lower rank; between two of the same rank the newer wins.';
