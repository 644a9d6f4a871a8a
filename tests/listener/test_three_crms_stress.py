"""Random faults, kills and replies, the same for the same seed; CRM_SYNC_STRESS_SEEDS=100-160 runs others."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.faults import Fault
from sandbox.server import serve
from tests.house import House, eventually
from tests.listener.conftest import INDEX_LAG
from tests.listener.crms import KITS
from tests.listener.daemons import Process, process
from tests.listener.shop import Shop, Tenant

SETTLED_SECONDS = 60.0
INTENTS = ("interested", "question", "objection", "not_interested", "out_of_office")
HARMS: tuple[dict[str, Any], ...] = (
    {"drop_answer": True},
    {"drop_answer": True, "delay": 0.1},
    {"cut": True},
    {"cut_body": True},
    {"status": 500},
    {"status": 502, "html": True},
    {"status": 503, "body": "busy"},
    {"status": 429, "headers": {"retry-after": "1"}},
    {"html": True},
    {"delay": 0.1},
)


def seeds() -> list[int]:
    first, _, last = os.environ.get("CRM_SYNC_STRESS_SEEDS", "1-2").partition("-")
    return list(range(int(first), int(last or first) + 1))


class Busy:
    """An app, and how many of its requests are under way: a dead daemon's last request may still have its effect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._lock:
            self.count += 1
        try:
            await self._app(scope, receive, send)
        finally:
            with self._lock:
                self.count -= 1


@contextmanager
def busy_shop(house: House, crm: str) -> Iterator[tuple[Shop, Busy]]:
    emulator = KITS[crm].make(INDEX_LAG)
    busy = Busy(emulator.app)
    with serve(busy) as server:
        yield Shop(house, emulator, server.url), busy


@pytest.mark.parametrize("seed", seeds())
@pytest.mark.parametrize("crm", KITS)
def test_whatever_happens_the_ledger_is_exact_in_the_end(
    house: House, database: str, tmp_path: Path, crm: str, seed: int
) -> None:
    chance = random.Random(f"{crm} {seed}")
    house.connection.execute("alter table sync_queue alter max_attempts set default 30")
    with busy_shop(house, crm) as (shop, busy), ExitStack() as stack:
        # of these CRMs only Salesforce has no token that never expires
        is_oauth = [crm == "salesforce" or chance.random() < 0.7 for _ in range(chance.choice((1, 1, 2)))]
        tenants = [shop.tenant(oauth=each) for each in is_oauth]
        for tenant in tenants:
            shop.replies(tenant, chance.randint(5, 30), chance.choice(INTENTS), attention=True, companies=4)

        def start() -> Process:
            size = str(chance.choice((3, 10, 100)))
            return stack.enter_context(process(tmp_path, database, CRM_SYNC_BATCH_SIZE=size))

        # a token that ends twice within one call is rightly taken for a dead connection: each ends once at most
        lively = list(tenants)
        plan_faults(shop, chance)
        daemons = [start() for _ in range(chance.choice((1, 2)))]
        for _ in range(chance.randint(1, 5)):
            wait_for_calls(shop, tenants, chance.randint(1, 25))
            match chance.choice(("kill", "kill", "reply", "expire", "fault", "person")):
                case "kill":
                    kill(shop, busy, daemons.pop(0))
                    daemons.append(start())
                case "reply":
                    further_replies(shop, chance.choice(tenants), chance)
                case "expire" if lively:
                    shop.crm.end_tokens(lively.pop().account.number, "expire")
                case "fault":
                    plan_faults(shop, chance)
                case "person":
                    people_work(shop, chance.choice(tenants), chance)
        shop.hurry_until_settled(*tenants, seconds=SETTLED_SECONDS)
    failed = house.rows("select queue_type, failure, last_error from sync_queue where status <> 'completed'")
    assert failed == []
    for tenant in tenants:
        shop.assert_exact(tenant)


def calls(tenants: list[Tenant]) -> int:
    return sum(int(tenant.account.calls["total"]) for tenant in tenants)


def kill(shop: Shop, busy: Busy, running: Process) -> None:
    """Its leases end when none of its requests can have an effect any more."""
    running.end(signal.SIGKILL)
    eventually(lambda: busy.count == 0, "a quiet moment")
    shop.has_died(running)


def wait_for_calls(shop: Shop, tenants: list[Tenant], count: int) -> None:
    goal = calls(tenants) + count
    eventually(lambda: shop.hurry() or calls(tenants) >= goal or not shop.open_rows(), "calls")


def plan_faults(shop: Shop, chance: random.Random) -> None:
    paths = [stage.path for stage in shop.kit.stages.values()]
    for _ in range(chance.randint(1, 8)):
        path = chance.choice([".*", *paths])
        shop.crm.faults.add(
            Fault(path=path, skip=chance.randint(0, 6), times=chance.choice((1, 1, 4)), **chance.choice(HARMS))
        )


def people_work(shop: Shop, tenant: Tenant, chance: random.Random) -> None:
    """People give some contacts a number in the CRM, and the host application renames one."""
    for id_ in chance.sample(ids := tenant.account.ids("contact"), min(3, len(ids))):
        tenant.account.change("contact", id_, **shop.kit.phone("+9 999"))
    shop.house.connection.execute(
        "update contacts set last_name = 'Renamed' where organization_id = %s and last_name like '%%3'",
        [tenant.organization],
    )


def further_replies(shop: Shop, tenant: Tenant, chance: random.Random) -> None:
    rows = shop.house.rows("select id from contacts where organization_id = %s order by email", tenant.organization)
    for (contact,) in chance.sample(rows, min(5, len(rows))):
        shop.reply(tenant, contact, chance.choice(INTENTS), attention=chance.random() < 0.3)
