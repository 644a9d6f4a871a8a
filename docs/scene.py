"""What docs/questions.md asks about: a night in three organizations, made anew by a real daemon and the CRMs' sandbox.

Acme has HubSpot, where a mapping sends one field what it does not take, and Pipedrive, which somebody paused. Globex
has Salesforce, whose grant was revoked in the middle of the night. Initech sends once a day.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from sandbox.demo.stage import APPS
from sandbox.hubspot import HubSpot
from sandbox.pipedrive import Pipedrive
from sandbox.salesforce import Salesforce
from sandbox.server import serve

KEY = "a-key-for-the-documentation-only-0123456789"
DEADLINE_SECONDS = 30.0

ACME, GLOBEX, INITECH = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")
USER = "aaaaaaaa-0000-4000-8000-00000000000f"


def contact_id(number: int) -> str:
    """Of the person with this number in `PEOPLE`."""
    return f"c0000000-0000-4000-8000-{number:012d}"


def message_id(number: int) -> str:
    """Of that person's reply."""
    return f"e0000000-0000-4000-8000-{number:012d}"


PEOPLE: tuple[tuple[str, str | None, str, str, str | None, str, str | None], ...] = (
    # organization, e-mail, first name, last name, company, subject, intent
    (ACME, "ada@analytical.example", "Ada", "Lovelace", "Analytical Engines", "Re: a machine", "interested"),
    (ACME, "grace@cobol.example", "Grace", "Hopper", "Analytical engines", "Re: compilers", "question"),
    (ACME, "edsger@shortest.example", "Edsger", "Dijkstra", None, "Re: paths", "not_interested"),
    (ACME, None, "Nobody", "", None, "Re: your call", "question"),
    (ACME, "alan@machine.example", "Alan", "Turing", "Bletchley", "Re: out of office", "spam"),
    (ACME, "barbara@clu.example", "Barbara", "Liskov", "CLU", "Re: no answer yet", None),
    (GLOBEX, "kathleen@arc.example", "Kathleen", "Booth", "ARC", "Re: assembly", "interested"),
    (GLOBEX, "john@lisp.example", "John", "McCarthy", "LISP", "Re: lists", "interested"),
    (INITECH, "radia@bridge.example", "Radia", "Perlman", "Bridges", "Re: trees", "interested"),
)


GIVEN: dict[str, object] = {
    "organization_id": ACME,
    "integration_id": 1,
    "contact_id": contact_id(1),
    "message_id": message_id(2),
    "at": "tomorrow",
    "since": "yesterday",
}
"""What the page's variables are: Ada of Acme, Acme's HubSpot, and the reply of Grace, which it refused."""


@contextmanager
def scene(url: str) -> Iterator[psycopg.Connection]:
    """A migrated database after that night, with a daemon that is alive; yields a connection of its owner."""
    hubspot, salesforce, pipedrive = HubSpot(), Salesforce(), Pipedrive()
    with (
        serve(hubspot.app) as hub,
        serve(salesforce.app) as force,
        serve(pipedrive.app) as pipe,
        psycopg.connect(url, autocommit=True) as owner,
    ):
        owner.execute("select set_config('crm_sync.encryption_key', %s, false)", [KEY])
        org = salesforce.open_org()
        company = pipedrive.open_company()
        _point(owner, "hubspot", hub.url, "/oauth/2026-03/token")
        _point(owner, "salesforce", force.url, "/services/oauth2/token")
        _point(owner, "pipedrive", pipe.url, "/oauth/token")
        _organizations(owner)
        _connect(
            owner,
            (ACME, "hubspot", {"access_token": hubspot.open_portal().static_token}),
            # "question" is to become a value that this portal does not have
            sync_settings={"status_values": {"contacted": "IN_CONTACT"}},
            sync_filters={"all": [{"field": "intent", "op": "<>", "value": "spam"}]},
        )
        paused = _connect(owner, (ACME, "pipedrive", {"access_token": company.api_token, "api_domain": pipe.url}))
        tokens = {"access_token": org.access_token, "refresh_token": org.refresh_token, "instance_url": force.url}
        _connect(owner, (GLOBEX, "salesforce", tokens))
        daily = {"access_token": hubspot.open_portal().static_token}
        _connect(owner, (INITECH, "hubspot", daily), sync_frequency="daily")
        _as_member(owner, "select crm_sync.pause(%s)", paused)
        with _daemon(url):
            _replies(owner, until=7)
            _wait(owner, "the first replies", "completed = 3 and failed = 1 and open = 0 and armed = 1")
            org.revoke()
            _replies(owner, after=7)
            owner.execute(
                "insert into public.message_classifications (message_id, intent) values (%s, 'question')",
                [message_id(404)],
            )
            _wait(owner, "the revoked grant", "lost = 1 and armed = 1")
            _as_member(
                owner,
                "update public.user_integrations set sync_settings = sync_settings || '{\"deal_amount\": 2500}' "
                "where id <> %s",
                paused,
            )
            _let_minutes_pass(owner)
            yield owner


def _point(owner: psycopg.Connection, provider: str, url: str, token_path: str) -> None:
    config = {"api_base_url": url, "token_url": url + token_path}
    owner.execute(
        "update public.integration_providers set config = config || %s where name = %s", [json.dumps(config), provider]
    )


def _organizations(owner: psycopg.Connection) -> None:
    for id_, name in ((ACME, "Acme"), (GLOBEX, "Globex"), (INITECH, "Initech")):
        owner.execute("insert into public.organizations (id, name) values (%s, %s)", [id_, name])
    owner.execute(
        "insert into public.users (id, organization_id, email) values (%s, %s, 'mary@acme.example')", [USER, ACME]
    )


def _connect(owner: psycopg.Connection, what: tuple[str, str, dict[str, str]], **columns: Any) -> int:
    organization, provider, credentials = what
    row = owner.execute(
        "insert into public.user_integrations (organization_id, provider_id, credentials, sync_frequency, "
        "sync_settings, sync_filters) select %s, id, %s, %s, %s, %s from public.integration_providers "
        "where name = %s returning id",
        [
            organization,
            json.dumps(credentials),
            columns.get("sync_frequency", "realtime"),
            json.dumps(columns.get("sync_settings", {})),
            json.dumps(columns.get("sync_filters", {})),
            provider,
        ],
    ).fetchone()
    assert row is not None
    return int(row[0])


def _let_minutes_pass(owner: psycopg.Connection) -> None:
    """What a daemon notes once a minute, twice; and alarms that wait for a while whether it stays so."""
    owner.execute("select crm_sync.take_samples(), crm_sync.check_alerts()")
    owner.execute("update crm_sync.samples set sampled_at = sampled_at - interval '1 minute'")
    owner.execute("update crm_sync.lag_samples set sampled_at = sampled_at - interval '1 minute'")
    owner.execute("update crm_sync.alert_suspects set since = since - interval '1 hour'")
    owner.execute("select crm_sync.take_samples(), crm_sync.check_alerts()")


def _as_member(owner: psycopg.Connection, statement: str, *arguments: object) -> None:
    """What a user of Acme does."""
    claims = json.dumps({"sub": USER, "role": "authenticated"})
    with owner.transaction():
        owner.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        owner.execute("set local role authenticated")
        owner.execute(statement.encode(), arguments)


def _replies(owner: psycopg.Connection, *, after: int = 0, until: int = len(PEOPLE)) -> None:
    for number, (organization, email, first, last, company, subject, intent) in enumerate(PEOPLE, 1):
        if not after < number <= until:
            continue
        owner.execute(
            "insert into public.contacts (id, organization_id, email, first_name, last_name, company) "
            "values (%s, %s, %s, %s, %s, %s)",
            [contact_id(number), organization, email, first, last, company],
        )
        owner.execute(
            "insert into public.inbox_messages (id, organization_id, contact_id, subject, body) "
            "values (%s, %s, %s, %s, 'Thank you for your message.')",
            [message_id(number), organization, contact_id(number), subject],
        )
        if intent is not None:
            owner.execute(
                "insert into public.message_classifications (message_id, intent) values (%s, %s)",
                [message_id(number), intent],
            )


@contextmanager
def _daemon(url: str) -> Iterator[None]:
    environ = {
        **os.environ,
        **APPS,
        "DATABASE_URL": url,
        "INTEGRATION_ENCRYPTION_KEY": KEY,
        "CRM_SYNC_LOG_FORMAT": "json",
    }
    daemon = subprocess.Popen([sys.executable, "-m", "listener.cli", "run"], env=environ, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        daemon.terminate()
        daemon.wait(10)


def _wait(owner: psycopg.Connection, what: str, fact: str) -> None:
    """Until `fact`, a condition on these counts, holds; raises TimeoutError."""
    query = f"""
        select {fact}, v.* from (
          select count(*) filter (where q.status = 'completed' and q.queue_type = 'contact_sync') as completed,
            count(*) filter (where q.status = 'failed') as failed,
            count(*) filter (where q.completed_at is null and q.next_attempt_at is null and l.paused_at is null)
              as open,
            (select count(*) from public.user_integrations as i where i.status = 'error') as lost,
            (select count(*) from crm_sync.workers as w where w.is_armed) as armed
          from public.sync_queue as q
          left join crm_sync.lanes as l on l.integration_id = q.integration_id
        ) as v"""  # noqa: S608 - our own words
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        row = owner.execute(query.encode()).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come: {row}")
        time.sleep(0.02)
