-- Row-level security on every table: tenants see their own organization, the reader role sees all, the owner's functions write.

-- The policies need this function; its home is sql/functions/member_organizations.sql, which replaces it.
create function crm_sync.member_organizations() returns setof uuid
language sql stable
security definer
set search_path = ''
as $$ select null::uuid where false $$;

do $$
declare
  v record;
begin
  -- our own tables: everything is forced through policies, for their owner as well
  for v in
    select format('%I.%I', n.nspname, c.relname) as name, n.nspname, c.relname,
      exists (select from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped) as is_tenants
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and (
      (n.nspname = 'crm_sync' and c.relname <> 'applied_files')
      or (n.nspname = 'public' and c.relname in (
        'integration_providers', 'user_integrations', 'contact_sync_mappings', 'sync_activity_logs', 'sync_activity_logs_default', 'sync_queue'
      ))
    )
  loop
    execute format('alter table %s enable row level security', v.name);
    execute format('alter table %s force row level security', v.name);
    execute format('create policy owner_all on %s for all to crm_sync_owner using (true) with check (true)', v.name);
    execute format('comment on policy owner_all on %s is %L', v.name, 'The functions of crm_sync, which run as the owner, see and write everything.');
    execute format('create policy reader_select on %s for select to crm_sync_reader using (true)', v.name);
    execute format('comment on policy reader_select on %s is %L', v.name, 'DBAs and dashboards see every organization.');
    if v.is_tenants then
      execute format(
        'create policy members_select on %s for select to authenticated using (organization_id = any (array(select crm_sync.member_organizations())))', v.name);
      execute format('comment on policy members_select on %s is %L', v.name, 'Members see the rows of their organization.');
    end if;
  end loop;

  -- the host application's tables: where they have row-level security, let our owner read through it
  for v in
    select c.relname, format('public.%I', c.relname) as name, pg_catalog.pg_get_userbyid(c.relowner) = 'crm_sync_owner' as is_ours
    from pg_catalog.pg_class as c
    where c.relnamespace = 'public'::regnamespace and c.relrowsecurity
      and c.relname in ('organizations', 'users', 'contacts', 'inbox_messages', 'message_classifications')
  loop
    execute format('create policy crm_sync_owner_select on %s for select to crm_sync_owner using (true)', v.name);
    execute format('comment on policy crm_sync_owner_select on %s is %L', v.name, 'pg-crm-sync reads what it sends to the CRMs.');
    if v.relname = 'message_classifications' then
      execute format('create policy crm_sync_producer_insert on %s for insert to crm_sync_producer with check (true)', v.name);
      execute format('comment on policy crm_sync_producer_insert on %s is %L', v.name, 'Services that classify insert for every organization.');
    end if;
    continue when not v.is_ours;
    execute format('create policy crm_sync_owner_write on %s for all to crm_sync_owner using (true) with check (true)', v.name);
    execute format('comment on policy crm_sync_owner_write on %s is %L', v.name, 'The owner erases what it is asked to erase.');
    case v.relname
      when 'organizations' then
        execute format('create policy members_select on %s for select to authenticated using (id = any (array(select crm_sync.member_organizations())))', v.name);
      when 'message_classifications' then
        execute format('create policy members_select on %s for select to authenticated using (exists (
          select from public.inbox_messages as m
          where m.id = message_id and m.organization_id = any (array(select crm_sync.member_organizations()))))', v.name);
      else
        execute format('create policy members_select on %s for select to authenticated
          using (organization_id = any (array(select crm_sync.member_organizations())))', v.name);
    end case;
    execute format('comment on policy members_select on %s is %L', v.name, 'Members see the rows of their organization.');
  end loop;
end;
$$;

-- rows that belong to nobody or to everybody
create policy active_select on public.integration_providers for select to authenticated using (is_active);
comment on policy active_select on public.integration_providers is 'Everybody who is logged in sees what can be connected.';
create policy common_select on crm_sync.intent_rules for select to authenticated using (organization_id is null);
comment on policy common_select on crm_sync.intent_rules is 'Everybody who is logged in sees the common rules.';

-- what members may write: their connections and their own rules, nothing else
create policy members_insert on public.user_integrations for insert to authenticated
  with check (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_insert on public.user_integrations is 'Members connect CRMs for their organization.';
create policy members_update on public.user_integrations for update to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())))
  with check (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_update on public.user_integrations is 'Members change the settings of their connections.';
create policy members_delete on public.user_integrations for delete to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_delete on public.user_integrations is 'Members remove their connections.';
create policy members_insert on crm_sync.intent_rules for insert to authenticated
  with check (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_insert on crm_sync.intent_rules is 'Members make rules for their organization.';
create policy members_update on crm_sync.intent_rules for update to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())))
  with check (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_update on crm_sync.intent_rules is 'Members change the rules of their organization.';
create policy members_delete on crm_sync.intent_rules for delete to authenticated
  using (organization_id = any (array(select crm_sync.member_organizations())));
comment on policy members_delete on crm_sync.intent_rules is 'Members remove the rules of their organization.';
