"""Finds the user that an operator makes a sign-in link for."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import psycopg

from listener.errors import DatabaseUnreachable, Refusal
from sql.quiet import QUIET


class User(NamedTuple):
    """A row of the host application's users."""

    id: UUID
    email: str


def find(url: str, user: str) -> User:
    """By e-mail address or id; raises `Refusal` when there is none, or more than one.

    Asked as whoever DATABASE_URL names, who must be allowed to read the host application's users.
    """
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            connection.execute(QUIET)
            rows = connection.execute(
                "select id, email from public.users where lower(email) = lower(%s) or id::text = lower(%s) limit 2",
                [user, user],
            ).fetchall()
    except psycopg.OperationalError as error:
        raise DatabaseUnreachable(f"the database cannot be reached: {error}".strip()) from None
    except psycopg.Error as error:
        raise Refusal(
            f"the users cannot be read: {error.diag.message_primary}",
            "Use the connection string of a role that may read public.users, such as its owner's.",
        ) from None
    if not rows:
        raise Refusal(f"there is no user {user}")
    if len(rows) > 1:
        raise Refusal(f"several users have the address {user}: give the id instead")
    return User(*rows[0])
