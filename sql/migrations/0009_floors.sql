-- Looking behind the cursors need not begin with the first row ever: below a lane's floors there is nothing left to find.
alter table crm_sync.lanes
  add column floors bigint[] not null default '{0,0,0,0,0,0,0,0,0,0}',
  add column settled_id bigint not null default 0,
  add column marked_id bigint not null default 0,
  add column marked_xid xid8 not null default '0',
  add column search_all_at timestamptz not null default '-infinity';
comment on column crm_sync.lanes.floors is 'For each priority an id up to which no row is open that is not deferred: looking behind the cursors begins there.';
comment on column crm_sync.lanes.settled_id is 'No row up to this id can appear any more: the floors may rise so far.';
comment on column crm_sync.lanes.marked_id is 'The newest id at the last mark, which is settled next.';
comment on column crm_sync.lanes.marked_xid is 'It is settled when all older transactions have ended.';
comment on column crm_sync.lanes.search_all_at is 'When a lane without anything else to do next looks at all rows, whatever the floors say, and a busy one ten minutes later: rows that somebody changed by hand are found then.';

-- Connections that were given new credentials had not been looked at again.
do $$
begin
  if to_regprocedure('crm_sync.find_route(uuid)') is not null then
    perform crm_sync.find_route(r.organization_id) from crm_sync.routes as r;
  end if;
end
$$;

-- Room for the claim's and the completion's version of a row beside it: also while an old snapshot keeps all three, a claim
-- stays in its page and out of the indexes.
alter table public.sync_queue set (fillfactor = 35);

-- The settings of a provider are read a dozen times for each batch: in the row, not beside it.
alter table public.integration_providers alter column config set storage main;
update public.integration_providers set config = config || '{}';
