"""The commands that ask about one message, one contact, or the whole installation."""

from __future__ import annotations

import re
import sys
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from listener.commands.base import fail, require_database
from listener.commands.options import CONNECTION, COUNT, DURATION, json_option
from listener.commands.tables import show
from listener.commands.troubles import EX_NO, clear_words, require_known
from sql import ask

WIDEST = 120
"""Columns of a page of the manual, where no terminal says how wide it is."""
WAIT_SECONDS = 5.0
"""One statement waits so long: it keeps its snapshot, and old snapshots are a burden to a database."""
READ_FIRST = ("integration_id", "provider", "connection", "object", "has_arrived", "state", "answer")
UNREAD = ("organization_id", "classification_id", "step", "queue_id", "max_attempts")
MANUAL = """
select * from crm_sync.manual
where case when %(pattern)s::text is null then kind in ('role', 'table', 'view', 'function')
  else object ilike %(pattern)s or comment ilike %(pattern)s end
order by kind, object
"""
ERRORS = """
select provider, code, status, kind, coalesce(own_meaning, meaning) as meaning,
  coalesce(own_who_must_act, who_must_act) as who_must_act, coalesce(own_remedy, remedy) as remedy, source
from crm_sync.errors
where (%(provider)s::text is null or provider = %(provider)s)
  and (%(code)s::text is null or lower(code) = lower(%(code)s)
    or (code like '%%*' and starts_with(lower(%(code)s), lower(rtrim(code, '*')))))
order by provider, code
"""


@click.command()
@click.argument("message", type=click.UUID)
@json_option
def explain(message: UUID, as_json: bool) -> None:
    """Explain a message: did it reach each CRM, and if not, why and when next; exits with 1 if nobody knows it.

    Example: crm-sync explain 5f0e5dd5-94d1-4a5c-8b8f-6c1f6d8a2a11
    """
    found = _rows("select * from crm_sync.explain(%s)", message)
    if not found:
        fail("there is no message of this id (inbox_messages.id), and none was purged lately", EX_NO)
    show(found, as_json=as_json, empty="", hidden=UNREAD, first=READ_FIRST, as_blocks=True)


@click.command()
@click.argument("contact", type=click.UUID)
@click.argument("integration", type=CONNECTION)
@click.option("--changes", is_flag=True, help="Only what would change.")
@json_option
def plan(contact: UUID, integration: int, changes: bool, as_json: bool) -> None:
    """Show what would be sent now of a contact, field by field, beside what was last sent; sends nothing.

    Example: crm-sync plan 0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52 7
    """
    found = _rows("select * from crm_sync.plan(%s, %s)", contact, integration)
    if not found:
        require_known(require_database(), integration=integration, contact=contact)
    shown = [row for row in found if not changes or row["change"] in ("new", "changed")]
    if not as_json:  # at every second field it would be noise
        shown = [{**row, "reason": None} if row["change"] == "same" else row for row in shown]
    empty = "Nothing would change." if found else "Nothing would be sent: there is nothing of this contact to send."
    show(shown, as_json=as_json, empty=empty, hidden=("key", "our_field"), first=("object", "field", "change"))


@click.command()
@click.argument("contact", type=click.UUID)
@click.option("--limit", default=100, show_default=True, type=COUNT, help="How many entries at most.")
@json_option
def timeline(contact: UUID, limit: int, as_json: bool) -> None:
    """Show what happened to a contact: what came in, what was sent, and what the CRMs said.

    Example: crm-sync timeline 0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52
    """
    found = _rows("select * from crm_sync.contact_timeline(%s, %s)", contact, limit)
    if not found:
        require_known(require_database(), contact=contact)
    show(
        found,
        as_json=as_json,
        empty="Nothing has happened to this contact yet.",
        hidden=("entry_id", "message_id", "kind"),
    )


@click.command()
@click.argument("message", type=click.UUID)
@click.option("--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait: 30s, 5m, 2h.")
@json_option
def wait(message: UUID, timeout: timedelta, as_json: bool) -> None:
    """Wait until everything of a message has come to its end; exits with 0, or with 1 when it has not in time.

    It has when it arrived, failed or was skipped: crm-sync explain says which.

    Example: crm-sync wait 5f0e5dd5-94d1-4a5c-8b8f-6c1f6d8a2a11 --timeout 2m
    """
    begun = time.monotonic()
    end = begun + timeout.total_seconds()
    while True:
        piece = max(0.0, min(WAIT_SECONDS, end - time.monotonic()))
        has_settled = _rows("select crm_sync.wait_for(%s, %s) as settled", message, timedelta(seconds=piece))[0][
            "settled"
        ]
        if has_settled or time.monotonic() >= end:
            break
    row = {"message_id": str(message), "settled": has_settled, "waited": round(time.monotonic() - begun, 3)}
    if as_json:
        show([row], as_json=True, empty="")
    else:
        click.echo("settled" if has_settled else "not settled yet: crm-sync explain says where it is")
    sys.exit(0 if has_settled else EX_NO)


@click.command()
@click.option("--all", "with_good", is_flag=True, help="Also what was looked at and is well.")
@json_option
def diagnose(with_good: bool, as_json: bool) -> None:
    """Look for what is wrong, each finding with what to do; exits with 1 if one of them is an error.

    Example: crm-sync diagnose --json | jq 'select(.severity == "error")'
    """
    found = _rows("select * from crm_sync.diagnose()")
    shown = [row for row in found if with_good or row["severity"] != "ok"]
    show(shown, as_json=as_json, empty="Nothing is wrong.", hidden=("organization_id",), as_blocks=True)
    sys.exit(EX_NO if any(row["severity"] == "error" for row in found) else 0)


@click.command()
@click.argument("code", required=False)
@click.option("--provider", help="Only of this CRM: hubspot, salesforce, pipedrive.")
@json_option
def errors(code: str | None, provider: str | None, as_json: bool) -> None:
    """Look a code of a failure up: what it means, who must act, what to do; exits with 1 if it is not known.

    Without a code, all that are known.

    Example: crm-sync errors INVALID_OPTION
    """
    found = _rows(ERRORS, {"code": code, "provider": provider})
    if not found:
        fail(
            f"this version knows no such code{'' if code is None else f' as {code}'}: crm-sync errors shows all", EX_NO
        )
    hidden = () if code else ("remedy", "source")
    show(found, as_json=as_json, empty="", hidden=hidden, as_blocks=code is not None)


@click.command()
@click.argument("pattern", required=False)
@json_option
def manual(pattern: str | None, as_json: bool) -> None:
    """Print what every object of crm_sync is for: those whose name or comment has the pattern (* is anything).

    It exits with 1 when there is none.

    Example: crm-sync manual 'retry*'
    """
    like = None
    if pattern is not None:
        like = "%" + re.sub(r"([%_\\])", r"\\\1", pattern).replace("*", "%") + "%"
    found = _rows(MANUAL, {"pattern": like})
    if not found:
        fail(f"nothing in crm_sync has {pattern} in its name or comment: crm-sync manual shows what there is", EX_NO)
    show(found, as_json=as_json, empty="", hidden=("used_by",), widest=WIDEST)


def _rows(query: str, *parameters: Any) -> list[dict[str, Any]]:
    url = require_database()
    given = parameters[0] if len(parameters) == 1 and isinstance(parameters[0], dict) else parameters
    with clear_words():
        return ask.rows(url, query, given)
