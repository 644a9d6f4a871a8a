"""An organization whose contacts wait to reply, with one connection to an emulated CRM."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.cluster import KEY, Cluster
from sandbox.demo.control import Control
from sandbox.demo.crms import CRMS, connection_of
from sandbox.demo.stage import TOKEN_SECONDS

CONTACTS = 2_000
COMPANIES = 400
DEALS = CONTACTS // 4
DAY = 86_400

HOST = """
with o as (insert into public.organizations (name) values (%(name)s) returning id),
k as (
  insert into public.contacts (organization_id, email, first_name, last_name, company, phone)
  select o.id, 'p' || n || '@company' || n %% %(companies)s || '.example', 'First' || n, 'Last' || n, 'Company ' || n %% %(companies)s,
    '+44 20 ' || n
  from o, generate_series(1, %(contacts)s) as n
)
select id from o
"""
REPLIES = """
insert into public.inbox_messages (organization_id, contact_id, subject, body)
select organization_id, id, 'Re: hello', 'Thank you for your message, let us talk.'
from public.contacts where organization_id = %(organization_id)s
"""
CLASSIFIED = """
insert into public.message_classifications (message_id, intent, sentiment, priority, confidence)
select m.id, case when substring(k.email from '\\d+')::integer %% 4 = 0 then 'interested' else 'question' end, 'positive', 'medium', 0.9
from public.inbox_messages as m join public.contacts as k on k.id = m.contact_id
where m.organization_id = %(organization_id)s
  and not exists (select from public.message_classifications as c where c.message_id = m.id)
"""


@dataclass(frozen=True)
class Connection:
    """A connection that works.

    Attributes:
        account: the number of its account.
    """

    crm: str
    account: int
    organization_id: str


def connect(
    running: Cluster,
    control: Control,
    crm: str,
    speed: float,
    account: Mapping[str, Any],
    limits: Mapping[str, int],
) -> Connection:
    """A new account, opened with these words, of a CRM whose clock has this speed; `limits` are calls that differ."""
    api = control.api(crm)
    opened = control.open_account(crm, crm, **account)
    credentials = connection_of(CRMS[crm], api, opened, int(time.time() + TOKEN_SECONDS / speed))
    with psycopg.connect(running.url) as connection:
        connection.execute("select set_config('crm_sync.encryption_key', %s, true)", [KEY])
        connection.execute(
            "update public.integration_providers set config = config || %s::jsonb || jsonb_build_object('limits', %s::jsonb)"
            " where name = %s",
            [json.dumps(CRMS[crm].urls(api)), json.dumps(_limits(connection, crm, speed, limits)), crm],
        )
        row = connection.execute(HOST, {"name": crm, "contacts": CONTACTS, "companies": COMPANIES}).fetchone()
        assert row is not None
        connection.execute(
            "insert into public.user_integrations (organization_id, provider_id, credentials) "
            "select %s, id, %s from public.integration_providers where name = %s",
            [row[0], json.dumps(credentials), crm],
        )
    return Connection(crm, opened["account"], str(row[0]))


def _limits(
    connection: psycopg.Connection, crm: str, speed: float, differing: Mapping[str, int]
) -> dict[str, dict[str, float]]:
    """The documented limits on a clock of this speed: so many times as many calls. A day's allowance stays one.

    The seconds stay as well: what the budgets leave for calls that are late is time of the network's, and no faster.
    """
    row = connection.execute(
        "select config -> 'limits' from public.integration_providers where name = %s", [crm]
    ).fetchone()
    assert row is not None
    limits: dict[str, dict[str, float]] = row[0]
    for name, limit in limits.items():
        limit["calls"] = differing.get(name, limit["calls"])
        if limit["seconds"] < DAY:
            limit["calls"] *= speed
    return limits


def reply(running: Cluster, connection: Connection) -> None:
    """Let every contact of the organization reply once more."""
    with psycopg.connect(running.url) as session:
        session.execute(REPLIES, {"organization_id": connection.organization_id})
        session.execute(CLASSIFIED, {"organization_id": connection.organization_id})
    running.execute("vacuum analyze")
