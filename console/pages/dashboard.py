"""How it goes: synced, waiting, failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import chart, parameters
from console import queries_dashboard as ask
from console.context import Console, console_of, signed_in
from console.db import Row
from console.identity import Identity
from console.pages import standing

DAY = timedelta(days=1)
AHEAD = timedelta(seconds=5)
SLOW = timedelta(minutes=10)
"""So long may the oldest row wait without anybody being told to look."""


TO_DO = {
    "failures_per_hour": ("See what fails, correct it and try it again.", "/failures"),
    "connection_lost": ("Connect it again: its rows go on then, and none is lost.", "/integrations"),
    "budget_nearly_spent": ("Nothing is lost: what is over waits for the next day.", None),
    "refresh_failing": ("It is tried again by itself; if that goes on, connect it again.", "/integrations"),
}
"""For people with buttons; the remedies of the common rules are written for operators."""


async def home(request: Request) -> Response:
    """To the dashboard."""
    await signed_in(request)
    return RedirectResponse(console_of(request).url("/dashboard"), 303)


async def show(request: Request) -> Response:
    """The page, or its part that is loaded again when something changed."""
    console, identity = console_of(request), await signed_in(request)
    facts = await _facts(console, identity, request)
    template = "_dashboard_live.html" if request.headers.get("hx-request") else "dashboard.html"
    return console.render(request, template, active="/dashboard", **facts)


async def _facts(console: Console, identity: Identity, request: Request) -> dict[str, Any]:
    now = datetime.now(UTC)
    name = parameters.choice(request.query_params.get("range"), chart.RANGES) or "24h"
    wanted = chart.RANGES[name]
    async with console.members.asked_by(identity) as session:
        connections = await ask.connections(session)
        by_id = {each["integration_id"]: each for each in connections}
        chosen = parameters.number(request.query_params.get("integration"))
        chosen = chosen if chosen in by_id else None
        rows = await ask.series(session, *chart.window(wanted, now), wanted.step, chosen)
        # a little ahead, so that what is counted at this moment is in it
        day = await ask.series(session, now + AHEAD - DAY, now + AHEAD, DAY, chosen)
        budgets = await ask.budgets(session)
        is_running = await ask.is_running(session)
        alerts = await ask.alerts(session)
    shown = [each for each in connections if chosen in (None, each["integration_id"])]
    if rows:  # the samples are up to a minute old
        rows[-1] |= {"waiting": sum(each["open"] for each in shown), "failed": sum(each["failed"] for each in shown)}
    return {
        "range": name,
        "ranges": chart.RANGES,
        "chosen": chosen,
        "connections": connections,
        "tiles": _tiles(shown, sum(row["synced"] for row in day)),
        "is_running": is_running,
        "alerts": [each | dict(zip(("remedy", "link"), _to_do(each), strict=True)) for each in alerts],
        "charts": [
            chart.draw("wide", rows, wanted, width=1120, upper=150, lower=80),
            chart.draw("phone", rows, wanted, width=340, upper=110, lower=64),
        ],
        "budgets": _by_connection(budgets, now),
        "state_of": standing.of,
    }


def _tiles(connections: list[Row], synced: int) -> dict[str, Any]:
    waits = [each["oldest_wait"] for each in connections if each["oldest_wait"] is not None]
    oldest = max(waits, default=None)
    return {
        "synced": synced,
        "open": sum(each["open"] for each in connections),
        "running": sum(each["running"] for each in connections),
        "failed": sum(each["failed"] for each in connections),
        "oldest_wait": oldest,
        "is_slow": oldest is not None and oldest > SLOW and any(_should_move(each) for each in connections),
    }


def _to_do(alert: Row) -> tuple[str, str]:
    """What to do about an alert, and where."""
    connection = f"/integrations/{alert['integration_id']}"
    if alert["is_own_rule"]:
        return alert["remedy"], connection
    words, link = TO_DO.get(alert["condition"], ("See what it waits for; nothing is lost.", None))
    return words, link or connection


def _should_move(connection: Row) -> bool:
    """What waits for its hour, for a person or for the CRM is not slow."""
    return (
        connection["state"] in ("connected", "syncing")
        and connection["sync_frequency"] == "realtime"
        and (connection["oldest_wait"] or timedelta()) > SLOW
    )


def _by_connection(budgets: list[Row], now: datetime) -> dict[int, list[dict[str, Any]]]:
    """For each connection its limits in words; a limit of a day with how much is left of it."""
    found: dict[int, list[dict[str, Any]]] = {}
    for row in budgets:
        limit: dict[str, Any] = {"name": row["name"], "calls": row["calls"], "seconds": row["seconds"], "left": None}
        if row["seconds"] >= DAY.total_seconds():
            ours = row["ours"]
            left = max(0, ours - row["spent_today"])
            if row["observed_maximum"] and row["observed_at"] and now - row["observed_at"] < timedelta(hours=1):
                # what other apps have used is gone for us as well
                left = min(left, max(0, round(row["observed_maximum"] * ours / row["calls"]) - row["observed_used"]))
            limit |= {"left": left, "ours": ours, "used": ours - left}
        found.setdefault(row["integration_id"], []).append(limit)
    return found


ROUTES = [Route("/", home), Route("/dashboard", show)]
