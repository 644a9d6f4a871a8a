-- Roles, schemas, the extension that seals credentials, and auth.uid() where the host application has none.

do $$
declare
  v_role text;
begin
  if current_setting('server_version_num')::int < 150000 then
    raise exception using errcode = 'CS090', message = 'PostgreSQL 15 or newer is needed',
      hint = format('This server is %s.', current_setting('server_version'));
  end if;
  if current_setting('server_encoding') <> 'UTF8' then
    raise exception using errcode = 'CS090', message = 'the database must use the encoding UTF8',
      hint = format('It uses %s; create the database with: create database … encoding ''UTF8'' template template0.', current_setting('server_encoding'));
  end if;
  foreach v_role in array array['crm_sync_owner', 'crm_sync_daemon', 'crm_sync_producer', 'crm_sync_reader', 'authenticated', 'anon'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
      begin
        execute format('create role %I nologin', v_role);
      exception when duplicate_object or unique_violation then
        null; -- another database of this cluster is being migrated at this moment: the role is there, which is all we want
      end;
    end if;
  end loop;
  if not pg_catalog.pg_has_role(current_user, 'crm_sync_owner', 'member') then
    execute format('grant crm_sync_owner to %I', current_user);
  end if;
end;
$$;

comment on role crm_sync_owner is 'Owns every object of pg-crm-sync; nobody logs in as it.';
comment on role crm_sync_daemon is 'What the daemon works as: EXECUTE on the worker''s functions, no right on any table.';
comment on role crm_sync_producer is 'For services that classify: INSERT on message_classifications and nothing else.';
comment on role crm_sync_reader is 'For DBAs and dashboards: SELECT on the views of crm_sync, over all organizations.';

create schema if not exists crm_sync;
comment on schema crm_sync is 'pg-crm-sync: the functions, views and internal tables that carry classifications to CRMs.';

create extension if not exists pgcrypto with schema public;

do $$
begin
  if to_regprocedure('auth.uid()') is null then
    create schema if not exists auth;
    comment on schema auth is 'Who is asking: auth.uid(), supplied by pg-crm-sync because the host application had none.';
    create function auth.uid() returns uuid
    language sql stable
    set search_path = ''
    return (
      select case
        when v.sub ~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$' then v.sub::uuid
      end
      from (select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub' as sub) as v
    );
    comment on function auth.uid() is 'The user id (sub) of the request''s JWT claims, or null when there is none.';
    grant usage on schema auth to public;
  end if;
end;
$$;
