-- What an operator counts and asks, without reading all there is: tallies, lags, counters and where they begin.

alter table public.sync_queue add column failing_since timestamptz;
comment on column public.sync_queue.failing_since is 'Since when it fails for the reason it failed for last; kept when it is put back, and when it arrived after all.';

-- Which open rows have failed before, among however many that have not been tried yet; most rows are never in it.
-- squawk-ignore require-concurrent-index-creation
create index sync_queue_retrying_idx on public.sync_queue (integration_id) where completed_at is null and last_error is not null;
comment on index public.sync_queue_retrying_idx is 'Open rows of a connection that failed before, for the views.';

alter table crm_sync.lanes
  add column batches bigint not null default 0,
  add column synced_activities bigint not null default 0,
  add column retried bigint not null default 0,
  add column given_up bigint not null default 0,
  add column recount_at timestamptz not null default '-infinity',
  add column lags bigint[] not null default '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}';
comment on column crm_sync.lanes.batches is 'Batches that were settled.';
comment on column crm_sync.lanes.synced_activities is 'Messages and tasks that have reached the CRM.';
comment on column crm_sync.lanes.retried is 'How often a row was put back to be tried again.';
comment on column crm_sync.lanes.given_up is 'How often a row ended as failed.';
comment on column crm_sync.lanes.recount_at is 'What was counted before this time is void: somebody has put many rows elsewhere at once.';
comment on column crm_sync.lanes.lags is 'How many rows took how long from when they were due until the CRM confirmed them: one count for each step of crm_sync.lag_bounds().';

alter table crm_sync.samples add column given_up bigint not null default 0;
comment on column crm_sync.samples.given_up is 'How often a row had ended as failed, ever.';

alter table crm_sync.budgets
  add column waits bigint not null default 0,
  add column waited interval not null default '0';
comment on column crm_sync.budgets.waits is 'How often a call had to wait for this limit.';
comment on column crm_sync.budgets.waited is 'How long calls have waited for this limit, all together.';

create table crm_sync.tally_clock (
  is_only boolean primary key default true constraint tally_clock_has_one_row check (is_only),
  look_after timestamptz not null default '-infinity',
  count_after timestamptz not null default '-infinity'
);
insert into crm_sync.tally_clock default values;
comment on table crm_sync.tally_clock is 'When rows are counted next, for all daemons together; whoever counts holds its one row.';
comment on column crm_sync.tally_clock.is_only is 'There is one row.';
comment on column crm_sync.tally_clock.look_after is 'Nobody looks for connections that have become large before this time.';
comment on column crm_sync.tally_clock.count_after is 'No tally is renewed before this time: counting may take a hundredth of it at most.';

create table crm_sync.tallies (
  organization_id uuid not null,
  integration_id bigint not null,
  waiting bigint,
  running bigint,
  retrying bigint,
  oldest_at timestamptz,
  due_at timestamptz,
  retrying_causes jsonb,
  failed bigint,
  failed_causes jsonb,
  failed_mark text,
  skipped bigint,
  counted_at timestamptz not null,
  believed_until timestamptz not null,
  took interval not null,
  constraint tallies_pkey primary key (organization_id, integration_id),
  constraint tallies_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
comment on table crm_sync.tallies is 'What was counted of connections that have too many rows to count whenever somebody asks; the others have no row here.';
comment on column crm_sync.tallies.organization_id is 'Whose connection it is.';
comment on column crm_sync.tallies.integration_id is 'The connection.';
comment on column crm_sync.tallies.waiting is 'Rows that had not been tried yet; null where open rows are few and counted whenever somebody asks.';
comment on column crm_sync.tallies.running is 'Rows that a daemon was working on.';
comment on column crm_sync.tallies.retrying is 'Rows that were to be tried again.';
comment on column crm_sync.tallies.oldest_at is 'When the oldest unsent row was enqueued.';
comment on column crm_sync.tallies.due_at is 'When the unsent row that is due for longest was due.';
comment on column crm_sync.tallies.retrying_causes is 'Why rows were to be tried again: a list of causes, those first that stop most.';
comment on column crm_sync.tallies.failed is 'Rows that had failed; null where they are few and counted whenever somebody asks.';
comment on column crm_sync.tallies.failed_causes is 'Why rows had failed: a list of causes, those first that stop most.';
comment on column crm_sync.tallies.failed_mark is 'Of which counters and actions failed_causes is the outcome: it is made anew when they have changed.';
comment on column crm_sync.tallies.skipped is 'Rows that were not sent; null where they are few and counted whenever somebody asks.';
comment on column crm_sync.tallies.counted_at is 'When it was counted.';
comment on column crm_sync.tallies.believed_until is 'If no daemon has renewed it by then, it is not believed any more.';
comment on column crm_sync.tallies.took is 'How long counting took.';

create table crm_sync.lag_samples (
  organization_id uuid not null,
  integration_id bigint not null,
  sampled_at timestamptz not null,
  lags bigint[] not null,
  constraint lag_samples_pkey primary key (organization_id, integration_id, sampled_at),
  constraint lag_samples_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
);
create index lag_samples_sampled_at_idx on crm_sync.lag_samples (sampled_at);
comment on table crm_sync.lag_samples is 'How often each lag had occurred, ever, at a time: each minute of the last ten, then each ten minutes of two hours, then each hour of a day.';
comment on index crm_sync.lag_samples_sampled_at_idx is 'For the thinning.';
comment on column crm_sync.lag_samples.organization_id is 'Whose connection it is.';
comment on column crm_sync.lag_samples.integration_id is 'The connection.';
comment on column crm_sync.lag_samples.sampled_at is 'The minute.';
comment on column crm_sync.lag_samples.lags is 'The column lags of crm_sync.lanes at that time.';

create table crm_sync.counter_baselines (
  organization_id uuid not null,
  integration_id bigint not null,
  counters jsonb not null,
  counted_since timestamptz not null default now(),
  set_by text not null,
  constraint counter_baselines_pkey primary key (organization_id, integration_id),
  constraint counter_baselines_integration_fkey foreign key (organization_id, integration_id)
    references public.user_integrations (organization_id, id) on delete cascade
);
comment on table crm_sync.counter_baselines is 'Where the counters stood when somebody reset them; the view crm_sync.counters shows what has come since.';
comment on column crm_sync.counter_baselines.organization_id is 'Whose connection it is.';
comment on column crm_sync.counter_baselines.integration_id is 'The connection.';
comment on column crm_sync.counter_baselines.counters is 'What each counter stood at.';
comment on column crm_sync.counter_baselines.counted_since is 'When that was.';
comment on column crm_sync.counter_baselines.set_by is 'Who reset them.';

do $$
declare
  v_table text;
begin
  foreach v_table in array array['tally_clock', 'tallies', 'lag_samples', 'counter_baselines'] loop
    execute format('alter table crm_sync.%I enable row level security', v_table);
    execute format('alter table crm_sync.%I force row level security', v_table);
    execute format('create policy owner_all on crm_sync.%I for all to crm_sync_owner using (true) with check (true)', v_table);
    execute format('comment on policy owner_all on crm_sync.%I is %L', v_table, 'The functions of crm_sync, which run as the owner, see and write everything.');
    execute format('create policy reader_select on crm_sync.%I for select to crm_sync_reader using (true)', v_table);
    execute format('comment on policy reader_select on crm_sync.%I is %L', v_table, 'DBAs and dashboards see every organization.');
  end loop;
  foreach v_table in array array['tallies', 'lag_samples', 'counter_baselines'] loop
    execute format('create policy members_select on crm_sync.%I for select to authenticated using (organization_id = any (array(select crm_sync.member_organizations())))',
      v_table);
    execute format('comment on policy members_select on crm_sync.%I is %L', v_table, 'Members see the rows of their organization.');
  end loop;
end;
$$;
