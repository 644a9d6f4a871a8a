"""Who takes part: three organizations, two people who can sign in, and the CRMs that they have or do not have yet."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from sandbox.demo.control import Control
from sandbox.demo.crms import CRMS
from sandbox.demo.scenario import Scenario
from sandbox.demo.stage import LOGINS, Stage, connect, insert_host_rows, make_login, point_at

ORGANIZATIONS = 3
CONNECTED, UNCONNECTED, OTHER = range(ORGANIZATIONS)
"""Places of the organizations: one with all CRMs, one with none, one with two that nobody signs in for."""
OTHERS_CRMS = ("hubspot", "pipedrive")
FIRST_NAMES = {CONNECTED: "ada", UNCONNECTED: "ken"}

# A field of the connected HubSpot account that takes three values, and a mapping that sends it whatever the classifier
# says: "very_positive" and "mixed" are refused, until somebody maps them to one of the three.
TONE = {
    "name": "last_reply_tone",
    "label": "Tone of the last reply",
    "type": "enumeration",
    "fieldType": "select",
    "groupName": "contactinformation",
    "options": [{"label": each.title(), "value": each} for each in ("positive", "neutral", "negative")],
}
NARROW_MAPPING: dict[str, Any] = {"contact": [{"from": "sentiment", "to": TONE["name"], "policy": "always"}]}


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in, and what there is to see."""

    email: str
    organization: str
    remark: str


@dataclass(frozen=True)
class Cast:
    """Everybody, on their stage."""

    stage: Stage
    console_url: str
    people: list[Person]


def set_cast(owner_url: str, control: Control, scenario: Scenario) -> Cast:
    """Fill a migrated database: host rows, logins, users, and the connections that there are from the start."""
    key = secrets.token_urlsafe(48)
    ids = list(scenario.organizations)
    with psycopg.connect(owner_url) as connection:
        urls = {name: make_login(connection, owner_url, name, role) for name, role in LOGINS.items()}
        console_url = make_login(connection, owner_url, "demo_console", "crm_sync_console")
        insert_host_rows(connection, scenario)
        people = [_user(connection, scenario, place) for place in FIRST_NAMES]
        connection.execute("select set_config('crm_sync.encryption_key', %s, true)", [key])
        accounts: dict[str, dict[UUID, int]] = {}
        for crm in CRMS:
            point_at(connection, control, crm)
            # opened first, so that it is the first that a consent page offers
            control.open_account(crm, scenario.organizations[ids[UNCONNECTED]])
            wanted = [ids[CONNECTED], *([ids[OTHER]] if crm in OTHERS_CRMS else [])]
            accounts[crm] = {each: _connect(connection, control, crm, scenario, each) for each in wanted}
    return Cast(Stage(owner_url, urls, key, accounts), console_url, people)


def _connect(
    connection: psycopg.Connection, control: Control, crm: str, scenario: Scenario, organization_id: UUID
) -> int:
    account = control.open_account(crm, scenario.organizations[organization_id])
    mapping = None
    if crm == "hubspot" and organization_id == list(scenario.organizations)[CONNECTED]:
        control.call(crm, "/crm/properties/2026-03/contacts", account["access_token"], TONE)
        mapping = NARROW_MAPPING
    return connect(connection, control, crm, organization_id, account, mapping)


def _user(connection: psycopg.Connection, scenario: Scenario, place: int) -> Person:
    organization_id = list(scenario.organizations)[place]
    title = scenario.organizations[organization_id]
    email = f"{FIRST_NAMES[place]}@{title.split()[0].lower()}.example"
    connection.execute("insert into users (organization_id, email) values (%s, %s)", [organization_id, email])
    remark = "all three CRMs are connected" if place == CONNECTED else "no CRM is connected yet: connect one"
    return Person(email, title, remark)
