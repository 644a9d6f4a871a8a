"""Functions that do nothing but remember how they were called: the commands' side of the contract, in one place.

`install` puts them where the real ones are, in the database of one test. What the real ones do is tested in tests/sql.
"""

# ruff: noqa: E501 - the functions are SQL
from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

NAMES = (
    *("retry_failed", "cancel", "pause_all", "resume_all", "reprioritize", "backfill", "resync", "purge_now"),
    *("reset_counters", "wait_for", "diagnose", "explain", "plan"),
)
PREPARE = """
create table public.calls (id bigint generated always as identity, function text, arguments jsonb, who text default session_user);
create function public.remember(p_function text, p_arguments jsonb) returns bigint language sql as $$
  insert into public.calls (function, arguments) values (p_function, jsonb_strip_nulls(p_arguments))
  returning (select count(*) from public.calls as c where c.function = p_function and c.arguments = jsonb_strip_nulls(p_arguments))
$$;
create function public.left_to_do(p_function text, p_arguments jsonb) returns bigint language plpgsql security definer as $$
begin -- three calls' worth of work: 1000, 1000 and 7 rows
  return (array[1000, 1000, 7])[public.remember(p_function, p_arguments) + 1];
end $$;
"""
FUNCTIONS = """
create function crm_sync.retry_failed(
  p_integration_id bigint default null, p_cause text default null, p_failed_since interval default null, p_failed_before timestamptz default null
) returns bigint language plpgsql security definer as $$
begin
  if p_cause = ' ' then
    raise exception using errcode = 'CS054', message = 'the cause is blank', hint = 'Give a text of the error.';
  end if;
  if p_failed_before is null or p_failed_before > clock_timestamp() then
    raise exception 'what fails again meanwhile would be put back again and again';
  end if;
  return coalesce(public.left_to_do('retry_failed', jsonb_build_object('integration', p_integration_id, 'cause', p_cause, 'since', p_failed_since)), 0);
end $$;
create function crm_sync.cancel(
  p_integration_id bigint, p_contact_id uuid default null, p_queue_ids bigint[] default null, p_reason text default null, p_all boolean default false
) returns bigint language sql security definer
return coalesce(public.left_to_do('cancel', jsonb_build_object('integration', p_integration_id, 'contact', p_contact_id, 'rows', p_queue_ids, 'reason', p_reason, 'all', p_all)), 0);
create function crm_sync.reprioritize(
  p_priority integer, p_integration_id bigint default null, p_contact_id uuid default null, p_queue_ids bigint[] default null
) returns bigint language sql security definer
return coalesce(public.left_to_do('reprioritize', jsonb_build_object('priority', p_priority, 'integration', p_integration_id, 'contact', p_contact_id, 'rows', p_queue_ids)), 0);
create function crm_sync.purge_now(p_older_than interval, p_integration_id bigint default null, p_limit integer default 10000) returns bigint
language sql security definer
return coalesce(public.left_to_do('purge_now', jsonb_build_object('older_than', p_older_than, 'integration', p_integration_id)), 0);
create function crm_sync.pause_all(p_scope text, p_key text default null, p_reason text default null) returns integer language sql security definer
return public.remember('pause_all', jsonb_build_object('scope', p_scope, 'key', p_key, 'reason', p_reason)) + 3;
create function crm_sync.resume_all(p_scope text, p_key text default null) returns integer language sql security definer
return public.remember('resume_all', jsonb_build_object('scope', p_scope, 'key', p_key)) + 3;
create function crm_sync.resync(p_contact_id uuid, p_integration_id bigint default null) returns bigint language sql security definer
return public.remember('resync', jsonb_build_object('contact', p_contact_id, 'integration', p_integration_id)) + 2;
create function crm_sync.reset_counters(p_integration_id bigint default null) returns integer language sql security definer
return public.remember('reset_counters', jsonb_build_object('integration', p_integration_id)) + 2;
create function crm_sync.backfill(p_integration_id bigint, p_filter jsonb default '{}', p_limit integer default 10000, p_after uuid default null)
returns table (enqueued bigint, skipped bigint, last_contact_id uuid, is_complete boolean) language plpgsql security definer as $$
begin -- three pages
  perform public.remember('backfill', jsonb_build_object('integration', p_integration_id, 'filter', p_filter, 'limit', p_limit, 'after', p_after));
  return query select p_limit::bigint, 1::bigint,
    ('00000000-0000-0000-0000-00000000000' || (coalesce(right(p_after::text, 1)::integer, 0) + 1))::uuid, coalesce(right(p_after::text, 1) = '2', false);
end $$;
create function crm_sync.wait_for(p_message_id uuid, p_timeout interval default '30 seconds') returns boolean language sql
return p_message_id::text like '1%' and p_timeout <= '5 seconds';
create function crm_sync.diagnose() returns table (
  severity text, area text, subject text, finding text, what_to_do text, integration_id bigint, organization_id uuid
) language sql as $$
  select 'error', 'schema', 'hubspot/default', 'the field hs_lead_status has no option IN_CONTACT', 'Map it to one that it has.', 1::bigint, null::uuid
$$;
create function crm_sync.explain(p_message_id uuid) returns table (
  organization_id uuid, integration_id bigint, provider text, connection text, has_arrived boolean, answer text, payload jsonb, one_more text
) language sql as $$
  select null::uuid, 1::bigint, 'hubspot', 'default', false, E'It was refused: \\x1b[31mno such option', '{"a": 1}'::jsonb, null
  where p_message_id::text like '1%'
$$;
create function crm_sync.plan(p_contact_id uuid, p_integration_id bigint) returns table (
  object text, key text, field text, our_field text, value jsonb, last_sent jsonb, change text, reason text
) language sql as $$
  values ('contact', 'ada', 'firstname', 'first_name', '"Ada"'::jsonb, '"Ada"'::jsonb, 'same', null),
    ('contact', 'ada', 'phone', 'phone', '"+49 30 1"'::jsonb, null, 'new', null)
$$;
"""


def install(connection: psycopg.Connection) -> None:
    """The stand-ins, callable by everybody."""
    for signature in connection.execute(
        "select p.oid::regprocedure::text from pg_proc as p "
        "where p.pronamespace = 'crm_sync'::regnamespace and p.proname = any(%s)",
        [list(NAMES)],
    ).fetchall():
        connection.execute(sql.SQL("drop function {} cascade").format(sql.SQL(signature[0])))
    connection.execute(PREPARE)
    connection.execute(FUNCTIONS)
    connection.execute(
        "grant usage on schema crm_sync to public; grant execute on all functions in schema crm_sync to public"
    )


def calls(connection: psycopg.Connection) -> list[tuple[str, dict[str, Any]]]:
    """What was called, in order, without arguments that were null."""
    return connection.execute("select function, arguments from public.calls order by id").fetchall()
