"""Thousands of statements tried as somebody, each undone at once, in one round trip."""

from __future__ import annotations

import psycopg

ATTEMPT = """
create or replace function public.attempt(p_statement text) returns text
language plpgsql
as $attempt$
declare
  v_rows bigint;
begin
  execute p_statement;
  get diagnostics v_rows = row_count;
  raise exception using errcode = 'ZZ001', message = v_rows::text;
exception
  when sqlstate 'ZZ001' then
    return sqlerrm;
  when others then
    return sqlstate || ' ' || sqlerrm;
end;
$attempt$;
grant execute on function public.attempt(text) to public;
"""
DENIED = "42501"


def attempt(connection: psycopg.Connection, statements: list[str]) -> dict[str, str]:
    """What became of each: how many rows it concerned, or SQLSTATE and message; nothing of it lasts."""
    found = connection.execute("select s, public.attempt(s) from unnest(%s::text[]) as s", [statements]).fetchall()
    return dict(found)
