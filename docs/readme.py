"""The outputs that README.md shows, made by running its own statements after a small real sync."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from docs import outputs
from sandbox.hubspot import HubSpot
from sandbox.server import serve

KEY = "a-key-for-the-documentation-only-0123456789"
DEADLINE_SECONDS = 30.0

PEOPLE = (
    # e-mail, first name, last name, company, subject, intent
    ("ada@analytical.example", "Ada", "Lovelace", "Analytical Engines", "Re: a machine that computes", "interested"),
    ("grace@cobol.example", "Grace", "Hopper", "Analytical engines", "Re: compilers", "question"),
    ("edsger@shortest.example", "Edsger", "Dijkstra", None, "Re: paths", "not_interested"),
    (None, "Nobody", None, None, "Re: your call", "question"),
)


def with_outputs(text: str, url: str) -> str:
    """`text` with the output behind each ```sql block that is followed by a ```text block made anew."""
    with synced(url), psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set role crm_sync_reader")
        return outputs.with_outputs(text, connection)


@contextmanager
def synced(url: str) -> Iterator[None]:
    """A database in which a daemon has carried four replies to a HubSpot portal, one of them refused."""
    hubspot = HubSpot()
    with serve(hubspot.app) as server, psycopg.connect(url, autocommit=True) as connection:
        _insert(connection, server.url, hubspot.open_portal().static_token)
        environ = {**os.environ, "DATABASE_URL": url, "INTEGRATION_ENCRYPTION_KEY": KEY, "CRM_SYNC_LOG_FORMAT": "json"}
        daemon = subprocess.Popen([sys.executable, "-m", "listener.cli", "run"], env=environ, stderr=subprocess.DEVNULL)
        try:
            _wait(connection)
            yield
        finally:
            daemon.terminate()
            daemon.wait(10)


def _insert(connection: psycopg.Connection, hubspot_url: str, token: str) -> None:
    execute = connection.execute
    execute("select set_config('crm_sync.encryption_key', %s, false)", [KEY])
    execute(
        "update public.integration_providers set config = config || jsonb_build_object('api_base_url', %s::text) "
        "where name = 'hubspot'",
        [hubspot_url],
    )
    row = execute("insert into public.organizations (name) values ('Acme') returning id").fetchone()
    assert row is not None
    # "question" is to become a value that this portal does not have: a failure that says what to do
    execute(
        "insert into public.user_integrations (organization_id, provider_id, credentials, sync_settings) "
        "select %s, id, %s, %s from public.integration_providers where name = 'hubspot'",
        [
            row[0],
            json.dumps({"access_token": token}),
            json.dumps({"status_values": {"contacted": "IN_CONTACT"}}),
        ],
    )
    for email, first, last, company, subject, intent in PEOPLE:
        execute(
            "with c as (insert into public.contacts (organization_id, email, first_name, last_name, company) "
            "values (%s, %s, %s, %s, %s) returning organization_id, id), "
            "m as (insert into public.inbox_messages (organization_id, contact_id, subject, body) "
            "select organization_id, id, %s, 'Thank you for your message.' from c returning id) "
            "insert into public.message_classifications (message_id, intent) select id, %s from m",
            [row[0], email, first, last, company, subject, intent],
        )


def _wait(connection: psycopg.Connection) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        row = connection.execute(
            "select count(*) filter (where status in ('pending', 'processing', 'retry')), "
            "count(*) filter (where queue_type = 'activity_sync' and status = 'completed'), "
            "(select count(*) from crm_sync.workers where is_armed) from public.sync_queue"
        ).fetchone()
        if row is not None and row[0] == 0 and row[1] == 2 and row[2] == 1:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the example did not finish: {row}")
        time.sleep(0.02)
