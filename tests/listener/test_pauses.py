"""A pause in the middle of a batch, and what a person sees who tests a paused connection."""

from __future__ import annotations

import re

import pytest
from starlette.types import Receive, Scope, Send

from sandbox.faults import Fault
from sandbox.server import serve
from tests.house import House, eventually
from tests.listener.crms import KITS
from tests.listener.daemons import daemon
from tests.listener.shop import Shop


@pytest.mark.parametrize(
    ("crm", "scope", "key"),
    [("hubspot", "integration", "{}"), ("pipedrive", "provider", "pipedrive"), ("salesforce", "everything", None)],
)
def test_after_a_pause_at_most_the_request_on_the_wire_reaches_the_crm(
    house: House, database: str, crm: str, scope: str, key: str | None
) -> None:
    emulator = KITS[crm].make(0.0)
    arrived: list[str] = []

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            arrived.append(scope["path"])
        await emulator.app(scope, receive, send)

    with serve(front) as server:
        shop = Shop(house, emulator, server.url)
        shop.configure(crm, batches_in_flight=1)
        tenant = shop.tenant()
        shop.replies(tenant, 20, "interested", companies=3)
        stage = shop.kit.stages["companies"].path
        emulator.faults.add(Fault(path=stage, delay=0.5, times=1000))
        with daemon(database, poll_seconds=3600):
            eventually(lambda: any(re.search(stage, path) for path in arrived), "a company on its way")
            key = key and key.format(tenant.integration)
            assert house.value("select crm_sync.pause_all(%s, %s)", scope, key) == 1
            before = len(arrived)
            eventually(lambda: not house.rows("select from crm_sync.batches"), "the end of the batch")
            assert len(arrived) <= before + 1
            assert emulator.faults, "it was in the middle"
            assert house.rows("select distinct status, attempts, last_error from sync_queue") == [("pending", 0, None)]
            assert house.rows("select state, waiting from crm_sync.status") == [("paused", 20)]
            emulator.faults.clear()
            after = len(arrived)
            assert house.value("select crm_sync.resume_all(%s, %s)", scope, key) == 1
            shop.wait_until_settled()
        assert len(arrived) > after
        shop.assert_exact(tenant)


def test_a_record_that_vanished_is_made_again_by_a_resync(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    contact = shop.person(tenant)
    shop.reply(tenant, contact)
    with daemon(database):
        shop.wait_until_settled()
        (first,) = shop.ledger(tenant)["contacts"]
        tenant.account.delete("contact", first["id"])
        assert shop.house.value("select crm_sync.resync(%s)", contact) == 1
        shop.wait_until_settled()
        (second,) = shop.ledger(tenant)["contacts"]
    assert second["id"] != first["id"]
    assert second["properties"]["email"] == first["properties"]["email"]
