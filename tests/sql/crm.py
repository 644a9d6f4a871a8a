"""A CRM's description of itself, as a daemon would store it."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from tests.house import House

Fields = list[dict[str, Any]]


def field(name: str, *options: str | tuple[str, str], of: str = "contact", **more: Any) -> dict[str, Any]:
    """A field; options are values that are their own labels, or (value, label), and close it."""
    pairs = [(each, each) if isinstance(each, str) else each for each in options]
    return {
        "object": of,
        "name": name,
        "label": more.pop("label", name.replace("_", " ").capitalize()),
        "type": "enum" if options else "text",
        "is_writable": True,
        "is_required": False,
        "options": [{"value": value, "label": label} for value, label in pairs],
        "is_closed": bool(options),
        **more,
    }


STATUS = field("hs_lead_status", "NEW", "OPEN", ("OPEN_DEAL", "Open deal"), ("BAD_TIMING", "Bad timing"))
STAGE = field("dealstage", ("appointmentscheduled", "Appointment Scheduled"), ("7", "Won"), of="deal")
FIELDS: Fields = [
    *map(field, ("email", "firstname", "lastname", "mobilephone", "phone", "crm_sync_lead_source")),
    field("createdate", is_writable=False),
    field("topic", ("1", "Sales"), ("2", "Support"), type="multi_enum"),
    field("tier", ("1", "Gold"), ("2", "Silver")),
    STATUS,
    STAGE,
    field("pipeline", ("default", "Sales Pipeline"), of="deal"),
    field("dealname", of="deal"),
]


def describe(house: House, integration: int, fields: Fields = FIELDS) -> int:
    """Store `fields`, as the daemon; returns how many are not what they were."""
    with house.as_role("crm_sync_daemon") as connection:
        row = connection.execute("select crm_sync.store_crm_fields(%s, %s)", [integration, Jsonb(fields)]).fetchone()
    assert row is not None
    return int(row[0])


def save(house: House, integration: int, column: str, value: dict[str, Any]) -> None:
    """As an operator would; refusals leave the transaction of the test as it was."""
    with house.connection.transaction():
        house.connection.execute(
            f"update public.user_integrations set {column} = %s where id = %s".encode(), [Jsonb(value), integration]
        )
