"""What does not arrive: by cause, how many, what to do, and one click to try again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console import queries_contacts as people
from console import queries_failures as ask
from console.context import console_of, signed_in
from console.db import Row
from console.pages.contacts import name_of

MOST_CAUSES = 200
MOST_VALUES = 60
NOUNS = {"contact_sync": "contact", "deal_sync": "deal", "activity_sync": "activity", "contact_erasure": "erasure"}
ACTORS = {
    "nobody": "nobody, it passes by itself",
    "operator": "whoever runs this installation",
    "crm_admin": "an administrator of the CRM",
    "data_owner": "whoever keeps the contacts",
    "connection_owner": "whoever connected the CRM",
    "developer": "the makers of this software",
    "crm_vendor": "the CRM’s support",
}
"""Who must act, in words for people, behind those words."""
SQL_WORDS = (
    (re.compile(r"; then crm_sync\.retry_failed\(\d*\)\.?$"), ", then retry."),
    (re.compile(r"crm_sync\.retry_failed\(\d*\) is enough"), "Retry is enough"),
    (re.compile(r"after that, crm_sync\.retry_failed\(\d*\)"), "after that, retry"),
    (re.compile(r"crm_sync\.retry_failed\(\d*\)"), "retry"),
    (re.compile(r"crm_sync\.manual_sync\(\)"), "“Sync now” on the contact"),
    (re.compile(r"\ballowed_values\b"), "the allowed values"),
    (re.compile(r"\bin field_mappings\b"), "in the field mappings"),
    (re.compile(r"\bof field_mappings\b"), "of the field mappings"),
    (re.compile(r"\bstatus_values in sync_settings\b"), "the status values in the settings"),
    (re.compile(r" until give_up_after in crm_sync\.config"), " for some days"),
    (re.compile(r" \(contact_object in sync_settings\)"), ""),
    (re.compile(r"crm_sync\.try_again\(\)"), "“Try again” on the Integrations page"),
    (re.compile(r"crm_sync\.adopt_account\(\) says"), "The Integrations page asks"),
    (re.compile(r": crm-sync connect \w+"), " on the Integrations page"),
    (re.compile(r": crm-sync diagnose and crm-sync migrate settle the usual causes"), ""),
    (re.compile(r": crm-sync migrate, then crm-sync run"), ""),
    (re.compile(r": crm-sync (?:run|rotate-key|diagnose)(?! and)"), ""),
)


async def show(request: Request) -> Response:
    """The page, or its list."""
    console, identity = console_of(request), await signed_in(request)
    async with console.members.asked_by(identity) as session:
        causes = await ask.causes(session, MOST_CAUSES)
        examples = await people.by_id(
            session, [each["example_contact_id"] for each in causes if each["example_contact_id"]]
        )
        labels = await people.labels(session)
    template = "_failures_list.html" if request.headers.get("hx-request") else "failures.html"
    return console.render(
        request,
        template,
        active="/failures",
        connections=[each for each in causes if each["kind"] == "connection"],
        mappings=[each for each in causes if each["kind"] == "mapping"],
        rows=[each for each in causes if each["kind"] not in ("connection", "mapping")],
        is_cut=len(causes) == MOST_CAUSES,
        has_connections=bool(labels),
        examples=examples,
        name_of=name_of,
        noun_of=lambda cause: NOUNS.get(cause["queue_type"], "row"),
        remedy_of=remedy_of,
        actors=ACTORS,
        anchor_of=anchor_of,
        most_values=MOST_VALUES,
    )


def remedy_of(cause: Mapping[str, Any]) -> str:
    """What to do, for somebody who has buttons instead of SQL."""
    words: str = cause["remedy"]
    for pattern, plain in SQL_WORDS:
        words = pattern.sub(plain, words)
    return words[:1].upper() + words[1:]


def anchor_of(cause: Row) -> str:
    """Where on the connection's page the setting at fault is."""
    if cause["kind"] == "mapping":
        return "settings" if cause["code"] in ("deal_pipeline", "deal_stage", "status_values") else "mappings"
    return "mappings" if cause["field"] else "settings"


ROUTES = [Route("/failures", show)]
