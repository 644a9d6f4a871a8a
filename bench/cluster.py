"""A Postgres as a user would have it (fsync on, defaults otherwise), with a migrated database and a host's data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from sandbox.postgres import embedded
from sql.migrate import migrate

KEY = "a-key-for-the-benchmarks-only-0123456789"


@dataclass(frozen=True)
class Cluster:
    """A running server; `say` prints progress unless it was asked to be quiet.

    `more` is what the result line holds beside the figures: `bench.report` says which keys it knows.
    """

    url: str
    bin_dir: Path
    version: str
    quiet: bool
    more: dict[str, object] = field(default_factory=dict)

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)

    def execute(self, query: str, *arguments: object) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(query.encode(), arguments or None)

    def value(self, query: str, *arguments: object) -> object:
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(query.encode(), arguments or None).fetchone()
        return None if row is None else row[0]


@contextmanager
def cluster(*, quiet: bool = False) -> Iterator[Cluster]:
    """A fresh cluster with a migrated database."""
    with embedded() as server:
        migrate(server.url)
        with psycopg.connect(server.url) as connection:
            row = connection.execute("show server_version").fetchone()
        assert row is not None
        yield Cluster(server.url, server.binaries.bin, row[0], quiet)


HOST = """
select set_config('crm_sync.encryption_key', '{key}', false);
insert into public.organizations (id, name)
select ('00000000-0000-4000-8000-' || lpad(o::text, 12, '0'))::uuid, 'Organization ' || o from generate_series(1, {organizations}) as o;
insert into public.user_integrations (organization_id, provider_id, credentials)
select o.id, p.id, '{{"access_token": "token"}}' from public.organizations as o, public.integration_providers as p where p.name = 'hubspot';
insert into public.contacts (organization_id, email, first_name, last_name, company, phone)
select o.id, 'p' || c || '@company' || c % 97 || '.example', 'First' || c, 'Last' || c, 'Company ' || c % 97, '+44 20 ' || c
from public.organizations as o, generate_series(1, {contacts}) as c;
insert into public.inbox_messages (organization_id, contact_id, subject, body)
select organization_id, id, 'Re: hello', 'Thank you for your message, let us talk.' from public.contacts;
vacuum analyze;
"""


def furnish(url: str, organizations: int, contacts: int) -> None:
    """Organizations with one connection each, contacts, and one message for each contact."""
    script = HOST.format(key=KEY, organizations=organizations, contacts=contacts)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
