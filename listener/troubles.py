"""What can be wrong with a database, in words that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from listener.command import NOT_A_URL, fail
from listener.errors import EX_CONFIG, EX_UNAVAILABLE

NOT_MIGRATED = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InvalidParameterValue,  # the role that the migration makes is not there
    psycopg.errors.UndefinedObject,
)
TRY_AGAIN = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.QueryCanceled)
EX_NO = 1
"""The answer is no: nothing found that should be, differences, or the database refuses what makes no sense."""


@contextmanager
def clear_words() -> Iterator[None]:
    """End the command with words and an exit status instead of a traceback, and never with a piece of the password.

    1 for what crm_sync itself refuses (SQLSTATE CS…), 69 for what may work later, 78 for what a person must change.
    """
    try:
        yield
    except NOT_MIGRATED:
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
            f"the database was too busy: {error.diag.message_primary}\nNothing was changed; try again.", EX_UNAVAILABLE
        )
    except psycopg.OperationalError as error:
        if re.search("invalid (port|integer|URI)|connection option", str(error)):
            fail(NOT_A_URL, EX_CONFIG)
        fail(f"the database cannot be reached: {str(error).strip()}", EX_UNAVAILABLE)
    except psycopg.Error as error:
        if error.sqlstate is None and isinstance(error, psycopg.ProgrammingError):
            fail(NOT_A_URL, EX_CONFIG)
        if error.sqlstate is None or not error.sqlstate.startswith("CS"):
            raise
        said = (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)
        fail("\n".join(part for part in said if part), EX_NO)
