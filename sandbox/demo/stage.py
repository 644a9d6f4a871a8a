"""Sets the stage: the host application's rows, an account in each CRM for each organization, roles, the processes."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

import psycopg
from psycopg import sql

from sandbox import hubspot, pipedrive, salesforce
from sandbox.demo.children import Child, Children
from sandbox.demo.control import Control
from sandbox.demo.crms import CRMS, connection_of
from sandbox.demo.scenario import Scenario

TOKEN_SECONDS = 1800
READY = re.compile(r'"event": "ready"')
SANDBOX_URL = re.compile(r"CRM sandbox: (http://[\d.:]+)/")

# The app that we have registered with each CRM of the sandbox.
APPS = {
    f"{crm.upper()}_{name}": value
    for crm, module in (("hubspot", hubspot), ("salesforce", salesforce), ("pipedrive", pipedrive))
    for name, value in (("CLIENT_ID", module.CLIENT_ID), ("CLIENT_SECRET", module.CLIENT_SECRET))
}
# The roles of the host application's operator: each may do one thing.
LOGINS = {"demo_producer": "crm_sync_producer", "demo_daemon": "crm_sync_daemon", "demo_dba": "crm_sync_reader"}


@dataclass(frozen=True)
class Stage:
    """What is set.

    Attributes:
        owner_url: connection string of the database's owner.
        urls: connection strings of the roles in `LOGINS`.
        key: the encryption key of stored credentials.
        accounts: for each CRM, the number of each organization's account.
    """

    owner_url: str
    urls: dict[str, str]
    key: str
    accounts: dict[str, dict[UUID, int]]


def start_sandbox(children: Children) -> Child:
    """The CRMs, in a process of their own; it is ready when `sandbox_url` returns."""
    return children.start("sandbox", ["sandbox", "--port", "0", "--empty"], {})


def sandbox_url(sandbox: Child) -> str:
    """Where the sandbox listens, once it does; raises ChildFailedError."""
    found: re.Match[str] = sandbox.wait_for(SANDBOX_URL.search, "listening")
    return found.group(1)


def set_stage(owner_url: str, control: Control, scenario: Scenario, crms: Sequence[str]) -> Stage:
    """Fill a migrated database and connect every organization to an account of its own in each of the CRMs."""
    key = secrets.token_urlsafe(48)
    with psycopg.connect(owner_url) as connection:
        urls = {name: make_login(connection, owner_url, name, role) for name, role in LOGINS.items()}
        insert_host_rows(connection, scenario)
        connection.execute("select set_config('crm_sync.encryption_key', %s, true)", [key])
        accounts = {crm: connect_all(connection, control, crm, scenario.organizations) for crm in crms}
    return Stage(owner_url, urls, key, accounts)


def start_daemon(children: Children, stage: Stage, name: str, settings: dict[str, str]) -> Child:
    """`crm-sync run`, with what the operator would put into its environment; CRM_SYNC_* of ours are passed on."""
    return children.start(
        name,
        ["listener.cli", "run"],
        {
            **settings,
            **{name: value for name, value in os.environ.items() if name.startswith("CRM_SYNC_")},
            "CRM_SYNC_LOG_FORMAT": "json",
            "DATABASE_URL": stage.urls["demo_daemon"],
            "INTEGRATION_ENCRYPTION_KEY": stage.key,
            **APPS,
        },
    )


def wait_until_ready(daemon: Child) -> None:
    """Raises ChildFailedError when it does not start."""
    daemon.wait_for(READY.search, "ready")


def start_producer(children: Children, stage: Stage, scenario: Scenario) -> Child:
    """The service that classifies."""
    lines = (json.dumps(asdict(row), default=str, ensure_ascii=False) for row in scenario.classifications)
    return children.start(
        "producer",
        ["sandbox.demo.producer"],
        {"PRODUCER_DATABASE_URL": stage.urls["demo_producer"], "PYTHONIOENCODING": "utf-8"},
        stdin="\n".join(lines).encode(),
    )


def make_login(connection: psycopg.Connection, owner_url: str, name: str, role: str) -> str:
    """A login that may do what the role may; returns its connection string."""
    password = secrets.token_urlsafe(24)
    connection.execute(
        sql.SQL("create role {} login password {} in role {}").format(
            sql.Identifier(name), sql.Literal(password), sql.Identifier(role)
        )
    )
    parts = urlsplit(owner_url)
    return urlunsplit(parts._replace(netloc=f"{name}:{quote(password)}@{parts.hostname}:{parts.port}"))


def connect_all(
    connection: psycopg.Connection, control: Control, name: str, organizations: Mapping[UUID, str]
) -> dict[UUID, int]:
    """Point a provider at the sandbox, and connect every organization to a new account there."""
    point_at(connection, control, name)
    return {
        organization_id: connect(connection, control, name, organization_id, control.open_account(name, title))
        for organization_id, title in organizations.items()
    }


def point_at(connection: psycopg.Connection, control: Control, name: str) -> None:
    """The provider's URLs are the sandbox's."""
    connection.execute(
        "update integration_providers set config = config || %s::jsonb where name = %s",
        [json.dumps(CRMS[name].urls(control.api(name))), name],
    )


def connect(
    connection: psycopg.Connection,
    control: Control,
    name: str,
    organization_id: UUID,
    account: Mapping[str, Any],
    field_mappings: Mapping[str, Any] | None = None,
) -> int:
    """Connect an organization to an account that the sandbox opened; returns the account's number.

    The encryption key must be set in the session.
    """
    crm = CRMS[name]
    credentials = connection_of(crm, control.api(name), account, int(time.time()) + TOKEN_SECONDS)
    connection.execute(
        "insert into user_integrations (organization_id, provider_id, credentials, field_mappings) "
        "select %s, id, %s, %s from integration_providers where name = %s",
        [organization_id, json.dumps(credentials), json.dumps(field_mappings or {}), name],
    )
    number: int = account["account"]
    return number


def insert_host_rows(connection: psycopg.Connection, scenario: Scenario) -> None:
    """The host application's rows, as its owner."""
    with connection.cursor() as cursor:
        cursor.executemany("insert into organizations (id, name) values (%s, %s)", list(scenario.organizations.items()))
        cursor.executemany(
            "insert into contacts (id, organization_id, email, first_name, last_name, company, phone) values "
            "(%(id)s, %(organization_id)s, %(email)s, %(first_name)s, %(last_name)s, %(company)s, %(phone)s)",
            [asdict(contact) for contact in scenario.contacts],
        )
        cursor.executemany(
            "insert into inbox_messages (id, organization_id, contact_id, subject, body, received_at) values "
            "(%(id)s, %(organization_id)s, %(contact_id)s, %(subject)s, %(body)s, %(received_at)s)",
            [asdict(message) for message in scenario.messages],
        )
    connection.execute("analyze contacts, inbox_messages")
