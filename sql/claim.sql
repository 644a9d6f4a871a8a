-- A new database belongs to whoever makes it. One that holds a claim is left alone: it may be a copy, and then a person decides.

do $$
begin
  if not exists (select from crm_sync.fence) then
    perform crm_sync.claim_database();
    perform crm_sync.make_log_partitions(); -- what is logged before the first daemon comes has its place as well
  end if;
end;
$$;
