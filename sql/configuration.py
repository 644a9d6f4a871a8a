"""All settings as one document: what there is, what another document would change, and the change itself.

A document travels as JSON text, so that no number is rounded on the way. What it may hold and what it means is decided
by `crm_sync.configuration()`, `configuration_difference()` and `apply_configuration()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

from sql.quiet import QUIET

NAME = "crm-sync config"
LOCK_SECONDS = 10


class LacksRight(Exception):
    """The login may not do this; the message says what it needs."""


@dataclass(frozen=True)
class Change:
    """One setting: its path in the document, and both values as JSON text, None where there is nothing."""

    path: str
    before: str | None
    after: str | None


def read(url: str, organization: UUID | None = None) -> str:
    """The document of everything, or of one organization; raises `LacksRight` and `psycopg.Error`."""
    with psycopg.connect(url, connect_timeout=10, fallback_application_name=NAME) as connection:
        connection.execute("set transaction read only")
        _become(connection, "crm_sync_reader", "look at all settings")
        row = connection.execute("select crm_sync.configuration(%s)::text", [organization]).fetchone()
    assert row is not None
    return str(row[0])


def difference(url: str, document: str, *, prune: bool) -> list[Change]:
    """What `apply` would change; nothing is changed or locked. Raises `LacksRight` and `psycopg.Error`."""
    with psycopg.connect(url, connect_timeout=10, fallback_application_name=NAME) as connection:
        connection.execute("set transaction read only")
        _become(connection, "crm_sync_reader", "look at all settings")
        return _changes(connection, "configuration_difference", document, prune)


def apply(url: str, document: str, *, prune: bool, dry_run: bool) -> list[Change]:
    """Make the settings what the document says, in one transaction; returns what changed.

    Args:
        url: a superuser's connection string, or that of a member of crm_sync_owner.
        document: JSON text.
        prune: what the document does not name, of what it names, goes back to its default.
        dry_run: do all of it, with every check, and undo it.

    Raises:
        LacksRight: the login may not change settings.
        psycopg.Error: nothing was changed; CS060 to CS062 and the tables' own checks name the path.
    """
    with psycopg.connect(url, connect_timeout=10, fallback_application_name=NAME) as connection:
        _become(connection, "crm_sync_owner", "change settings")
        connection.execute("select set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS}s"])
        with connection.transaction(force_rollback=dry_run):
            return _changes(connection, "apply_configuration", document, prune)


def _changes(connection: psycopg.Connection, function: str, document: str, prune: bool) -> list[Change]:
    query = f"select path, before::text, after::text from crm_sync.{function}(%s::jsonb, %s)"  # noqa: S608 - names of ours
    return [Change(*row) for row in connection.execute(query.encode(), [document, prune]).fetchall()]


def _become(connection: psycopg.Connection, role: str, what: str) -> None:
    """Take the role where its rights are not at hand already: who did it stays in the audit either way."""
    connection.execute(QUIET)
    row = connection.execute(
        "select pg_catalog.pg_has_role(r.rolname, 'usage'), pg_catalog.pg_has_role(r.rolname, 'member'), "
        "current_user, r.rolname "
        "from pg_catalog.pg_roles as r where r.rolname in (%s, 'crm_sync_owner') order by 2 desc, r.rolname = %s desc",
        [role, role],
    ).fetchone()
    if row is None:
        raise psycopg.errors.UndefinedObject
    is_at_hand, is_member, login, found = row
    if not is_member:
        raise LacksRight(f"{login} may not {what}. It needs: grant {role} to {login}")
    if not is_at_hand:
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(found)))
