"""What can be wrong with a database, in words that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import click
import psycopg

from listener.commands.base import NOT_A_URL, fail, require_database
from listener.errors import EX_CONFIG, EX_SOFTWARE, EX_UNAVAILABLE, Refusal
from listener.journal import visible
from sql import ask
from sql.configuration import LacksRight

NOT_MIGRATED = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InvalidParameterValue,  # the role that the migration makes is not there
    psycopg.errors.UndefinedObject,
)
TRY_AGAIN = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.QueryCanceled,
    psycopg.errors.SerializationFailure,
)
HINT = "\ncrm-sync status shows the connections, with --all-columns also their organizations."
CALL_AGAIN = "call it again"
FRACTION = re.compile(r"(?<=:\d\d)\.\d+(?=[+-]\d\d)")
"""Of a second."""
EX_NO = 1
"""The answer is no: nothing found that should be, differences, or the database refuses what makes no sense."""


@contextmanager
def clear_words() -> Iterator[None]:
    """End the command with words and an exit status instead of a traceback, and never with a piece of the password.

    1 for what crm_sync itself refuses (SQLSTATE CS…), 69 for what may work later, 70 for what nobody thought
    of, 78 for what a person must change.
    """
    try:
        yield
    except Refusal as refusal:
        fail(str(refusal), refusal.exit_status)
    except LacksRight as lack:
        fail(str(lack), EX_CONFIG)
    except NOT_MIGRATED as error:
        if isinstance(error, psycopg.errors.InvalidParameterValue) and "role" not in str(error):
            fail(_said(error), EX_SOFTWARE)
        fail("this database has not been migrated to this version; run: crm-sync migrate", EX_CONFIG)
    except psycopg.errors.InsufficientPrivilege as error:
        fail(
            f"the role in DATABASE_URL lacks a right: {error.diag.message_primary}\n"
            "To look, it needs: grant crm_sync_reader to <role>. To act, it needs: grant crm_sync_daemon to <role>. "
            "To migrate, it must be the owner or a superuser.",
            EX_CONFIG,
        )
    except psycopg.errors.ReadOnlySqlTransaction:
        fail("this server is a replica, which can be asked only: give DATABASE_URL of the primary to act", EX_CONFIG)
    except TRY_AGAIN as error:
        fail(
            f"somebody else is in the way, or the database is too busy: {error.diag.message_primary}\n"
            "This step was undone; try again.",
            EX_UNAVAILABLE,
        )
    except psycopg.OperationalError as error:
        if re.search("invalid (port|integer|URI)|connection option", str(error)):
            fail(NOT_A_URL, EX_CONFIG)
        fail(f"the database cannot be reached: {str(error).strip()}", EX_UNAVAILABLE)
    except psycopg.Error as error:
        if error.sqlstate is None and isinstance(error, psycopg.ProgrammingError):
            fail(NOT_A_URL, EX_CONFIG)
        if error.sqlstate is None:
            raise
        fail(_said(error), EX_NO if error.sqlstate.startswith("CS") else EX_SOFTWARE)


def require_known(
    url: str, *, integration: int | None = None, organization: UUID | None = None, contact: UUID | None = None
) -> None:
    """Where nothing was found: end the command when that is because of an id that nobody knows."""
    if integration is None and organization is None and contact is None:
        return
    with clear_words():
        words = ask.unknown_ids(url, integration=integration, organization=organization, contact=contact)
    if words is not None:
        fail(f"{words}{'' if ' contact ' in words else HINT}", EX_NO)


@contextmanager
def acting(*, dry_run: bool) -> Iterator[ask.Session]:
    """Somebody who acts on the database of DATABASE_URL; what functions say beside their answer goes to stderr."""

    def hear(words: str) -> None:
        if CALL_AGAIN not in words:  # which is what we do
            click.echo(visible(FRACTION.sub("", words)), err=True)

    url = require_database()
    with clear_words(), ask.acting(url, is_rehearsal=dry_run, heard=hear) as session:
        yield session


def _said(error: psycopg.Error) -> str:
    """The server's words, and its hint."""
    said = (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)
    return "\n".join(part for part in said if part)
