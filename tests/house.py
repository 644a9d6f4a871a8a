"""What a host application would have in its database, made in one line each, and facts waited for with a deadline."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql

KEY = "a-key-for-tests-only-that-is-long-enough-0123456789"
DEADLINE_SECONDS = 30.0
"""Nobody waits so long unless something is wrong: enough for a machine on which much else runs."""
T = TypeVar("T")


class House:
    """A superuser's view of one database; `as_role` steps into anybody's shoes."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [KEY])

    def value(self, query: LiteralString, *arguments: Any) -> Any:
        """The first column of the first row; None when there is none."""
        row = self.connection.execute(query, arguments).fetchone()
        return None if row is None else row[0]

    def rows(self, query: LiteralString, *arguments: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, arguments).fetchall()

    def organization(self, name: str = "Acme") -> UUID:
        return self._uuid("insert into public.organizations (name) values (%s) returning id", name)

    def user(self, organization: UUID, email: str = "user@example.com") -> UUID:
        return self._uuid(
            "insert into public.users (organization_id, email) values (%s, %s) returning id", organization, email
        )

    def integration(
        self,
        organization: UUID,
        provider: str = "hubspot",
        *,
        credentials: dict[str, Any] | None = None,
        **columns: Any,
    ) -> int:
        """A connection; `columns` are columns of user_integrations, dicts as jsonb."""
        values: dict[str, Any] = {
            "organization_id": organization,
            "credentials": json.dumps(credentials or {"access_token": "token"}),
            **{name: json.dumps(value) if isinstance(value, dict) else value for name, value in columns.items()},
        }
        query = sql.SQL(
            "insert into public.user_integrations (provider_id, {}) "
            "select id, {} from public.integration_providers where name = {} returning id"
        ).format(
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
            sql.Literal(provider),
        )
        row = self.connection.execute(query, list(values.values())).fetchone()
        assert row is not None
        return int(row[0])

    def contact(self, organization: UUID, email: str | None = "ada@example.com", **columns: str | None) -> UUID:
        values = {"organization_id": organization, "email": email, **columns}
        query = sql.SQL("insert into public.contacts ({}) values ({}) returning id").format(
            sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(sql.Placeholder() * len(values))
        )
        row = self.connection.execute(query, list(values.values())).fetchone()
        assert row is not None
        return UUID(str(row[0]))

    def message(self, organization: UUID, contact: UUID | None, subject: str = "Re: hello", body: str = "Hi!") -> UUID:
        return self._uuid(
            "insert into public.inbox_messages (organization_id, contact_id, subject, body) "
            "values (%s, %s, %s, %s) returning id",
            organization,
            contact,
            subject,
            body,
        )

    def classify(
        self, message: UUID, intent: str | None = "interested", priority: str | None = None, *, attention: bool = False
    ) -> UUID:
        """Insert a classification as a producer would, in a transaction of its own."""
        with self.as_role("crm_sync_producer"):
            self.connection.execute(
                "insert into public.message_classifications (message_id, intent, priority, requires_human_attention) "
                "values (%s, %s, %s, %s)",
                [message, intent, priority, attention],
            )
        return self._uuid(
            "select id from public.message_classifications where message_id = %s order by created_at desc limit 1",
            message,
        )

    def reply(
        self, organization: UUID, contact: UUID, intent: str | None = "interested", *, attention: bool = False
    ) -> UUID:
        """A message of a contact, classified; returns the message."""
        message = self.message(organization, contact)
        self.classify(message, intent, attention=attention)
        return message

    @contextmanager
    def as_role(self, role: str, user: UUID | None = None) -> Iterator[psycopg.Connection]:
        """Work as a role, optionally with the JWT claims of a user."""
        if user is not None:
            claims = json.dumps({"sub": str(user), "role": role})
            self.connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])
        self.connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        try:
            yield self.connection
        finally:
            self.connection.execute("reset role")
            self.connection.execute("reset request.jwt.claims")

    def _uuid(self, query: LiteralString, *arguments: Any) -> UUID:
        return UUID(str(self.value(query, *arguments)))


def eventually(fact: Callable[[], T], what: str = "the fact", seconds: float = DEADLINE_SECONDS) -> T:
    """Wait until `fact()` is true and return it; fails, naming what was waited for, after the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds:g} s; last seen: {found!r}")
        time.sleep(0.01)
    return found
