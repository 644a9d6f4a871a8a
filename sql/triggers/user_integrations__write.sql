create or replace function crm_sync.user_integrations__write() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_is_new boolean[];
  v_problem text;
  v_provider public.integration_providers;
  v_fault record;
  v_plaintext text;
  v_credentials jsonb;
  v_is_resealed boolean := false; -- the same credentials, sealed with another key
begin
  if jsonb_typeof(new.sync_settings) = 'object' and (tg_op = 'INSERT' or new.sync_settings <> old.sync_settings) then
    new.sync_settings := crm_sync.default_sync_settings(new.provider_id) || new.sync_settings;
  end if;
  if tg_op = 'UPDATE' and (new.organization_id, new.id, new.provider_id) is distinct from (old.organization_id, old.id, old.provider_id) then
    raise exception using errcode = 'CS012', message = 'a connection cannot move to another organization or CRM',
      hint = 'Make a new connection and delete this one.';
  end if;

  -- only what this statement changes: a rule of a newer version must not stand in the way of a daemon that counts
  v_is_new := array[
    tg_op = 'INSERT' or new.sync_settings is distinct from old.sync_settings,
    tg_op = 'INSERT' or new.sync_filters is distinct from old.sync_filters,
    tg_op = 'INSERT' or new.field_mappings is distinct from old.field_mappings
  ];
  v_problem := coalesce(
    case when (tg_op = 'INSERT' or new.name <> old.name) and new.name ~ '[[:cntrl:]]' then 'name: must be one line' end, -- operators read it in a terminal
    -- whatever a member may save is read with each batch
    case when v_is_new[1] and length(new.sync_settings::text) > 50000 then 'sync_settings: must be at most 50000 letters' end,
    case when v_is_new[3] and length(new.field_mappings::text) > 500000 then 'field_mappings: must be at most 500000 letters' end,
    case when v_is_new[1] then 'sync_settings: ' || crm_sync.settings_problem(new.sync_settings) end,
    case when v_is_new[2] then 'sync_filters: ' || coalesce(crm_sync.filters_problem(new.sync_filters), crm_sync.filter_fault(new.sync_filters)) end,
    case when v_is_new[3] then 'field_mappings: ' || crm_sync.mappings_problem(new.field_mappings) end
  );
  if v_problem is not null then
    raise exception using errcode = 'CS010', message = v_problem, hint = 'Nothing was saved; the settings in force are unchanged.';
  end if;
  if v_is_new[1] or v_is_new[3] then
    select * into v_provider from public.integration_providers as p where p.id = new.provider_id;
    -- only what this change brings: a rule that the CRM broke of late must not stand in the way of another change
    select f.*, case when f.value is null and f.options is null
        then crm_sync.likely_fields(new.organization_id, new.id, f.object, f.field) end as likely
    into v_fault
    from crm_sync.mapping_faults(new.organization_id, new.id, v_provider.display_name, v_provider.config, new.sync_settings, new.field_mappings) as f
    where not exists (
      select
      from crm_sync.mapping_faults(old.organization_id, old.id, v_provider.display_name, v_provider.config, old.sync_settings, old.field_mappings) as b
      where b.problem = f.problem and b.setting is not distinct from f.setting
    )
    limit 1;
    if found then
      raise exception using errcode = 'CS013',
        message = coalesce('sync_settings: ' || v_fault.setting, 'field_mappings') || ': ' || v_fault.problem,
        hint = 'Nothing was saved. ' || case
          when v_fault.likely is not null then 'Fields there are, the likeliest first: ' || array_to_string(v_fault.likely, ', ') || '.'
          when v_fault.options is null then 'Choose one of these, or add the column.'
          else 'The values are those that the CRM described last; add one there, or choose another.'
        end;
    end if;
  end if;

  if new.credentials is not null and (tg_op = 'INSERT' or new.credentials is distinct from old.credentials) then
    if new.credentials like 'sealed:%' then
      v_credentials := crm_sync.open_sealed(new.organization_id, new.id, new.credentials); -- only what was sealed for this very row
      v_is_resealed := tg_op = 'UPDATE' and crm_sync.is_same_sealed(old.organization_id, old.id, old.credentials, v_credentials);
    else
      v_plaintext := new.credentials;
      new.credentials := crm_sync.seal_credentials(new.organization_id, new.id, v_plaintext);
      v_credentials := v_plaintext; -- it was looked at: this raises nothing that would repeat it
    end if;
    if not v_is_resealed then
      new.is_refreshable := coalesce(v_credentials ->> 'refresh_token', '') <> '';
      new.credentials_at := now();
      if tg_op = 'UPDATE' and old.status in ('error', 'disconnected') and new.status = old.status then
        new.status := 'connected';
      end if;
    end if;
  end if;
  if tg_op = 'UPDATE' and new.status = 'disconnected' and old.status <> 'disconnected' then
    new.credentials := null; -- whoever disconnects expects that nothing can be sent any more
  end if;
  if tg_op = 'INSERT' and new.credentials is null and coalesce(nullif(current_setting('role', true), 'none'), session_user::text) = 'authenticated' then
    new.status := 'disconnected'; -- a member prepares a connection; the credentials that make it one come by OAuth
  end if;
  if new.credentials is null then
    new.is_refreshable := false;
    new.credentials_at := null;
  end if;
  if new.status <> 'disconnected' then
    new.disconnected_at := null;
  elsif tg_op = 'INSERT' or old.status <> 'disconnected' then
    new.disconnected_at := now();
  end if;
  if new.credentials is not null and tg_op = 'INSERT' or tg_op = 'UPDATE' and new.credentials is distinct from old.credentials and not v_is_resealed then
    new.credentials_version := new.credentials_version + 1; -- also when they are wiped
  end if;
  if new.status in ('connected', 'syncing') and tg_op = 'UPDATE' and old.status in ('error', 'disconnected') then
    new.last_error := null;
    new.error_count := 0;
  end if;
  if new.next_sync_at is null or tg_op = 'INSERT' or new.sync_frequency <> old.sync_frequency then
    new.next_sync_at := crm_sync.next_slot(new.sync_frequency, now());
  end if;
  new.updated_at := now();
  return new;
end;
$$;
comment on function crm_sync.user_integrations__write() is 'Trigger: completes and checks the settings, seals the credentials, and lets new credentials end an error, wipes those of a connection that is disconnected.';

create or replace trigger crm_sync_write
before insert or update on public.user_integrations
for each row execute function crm_sync.user_integrations__write();
comment on trigger crm_sync_write on public.user_integrations is 'Seals credentials before they reach the table; refuses settings that make no sense.';
