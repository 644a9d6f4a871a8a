"""Daemons that are killed while each kind of record is on the wire, and those that go on after them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import eventually
from tests.listener.crms import KITS, PipedriveAccount
from tests.listener.daemons import daemon, process
from tests.listener.shop import Shop, Tenant

ROOMY = {name: {"calls": 10_000, "seconds": 2} for name in ("core", "static", "search")}
"""Our own budgets, where waiting for those of HubSpot would be most of what a test does."""
STAGES = [(crm, stage) for crm, kit in KITS.items() for stage in kit.stages]


def wait_for_cuts(tenant: Tenant, count: int) -> None:
    """Until so many calls were carried out whose answers were dropped."""
    eventually(lambda: tenant.account.calls["by_status"].get("cut", 0) >= count, "the end of the last call")


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize(("crm", "stage"), STAGES)
def test_a_daemon_killed_at_any_stage_leaves_nothing_missing_and_nothing_twice(
    open_shop: Callable[..., Shop], database: str, tmp_path: Path, crm: str, stage: str, fault: str
) -> None:
    shop = open_shop(crm)
    shop.configure(crm, limits=ROOMY)
    tenant = shop.tenant()
    shop.replies(tenant, 12, "interested", attention=True, companies=3)
    # the CRM has it, and the daemon dies before it hears so; or it dies before the CRM has it
    harm = {"drop_answer": True} if fault == "after" else {"cut": True}
    shop.disturb(stage, times=8, delay=0.3, **harm)
    with process(tmp_path, database) as running:
        eventually(lambda: shop.is_struck, "a call on the wire")
        if fault == "after":
            eventually(lambda: tenant.account.calls["by_status"].get("cut"), "a call that was carried out")
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
    shop.crm.faults.clear()
    shop.has_died(running)
    with daemon(database):
        shop.hurry_until_settled(tenant)
    assert shop.statuses() == {"completed": 48}
    shop.assert_exact(tenant)


@pytest.mark.parametrize("stage", ["companies", "contacts"])
def test_in_a_pipedrive_too_large_to_be_read_what_a_killed_daemon_left_behind_is_found(
    open_shop: Callable[..., Shop], database: str, tmp_path: Path, stage: str
) -> None:
    shop = open_shop("pipedrive")
    tenant = shop.tenant()
    assert isinstance(tenant.account, PipedriveAccount)
    company = tenant.account.company
    kinds = {"persons": "Somebody", "organizations": "Some Company"}
    strangers = [(kind, company.create(kind, name=f"{name} {n}")) for kind, name in kinds.items() for n in range(520)]
    shop.replies(tenant, 12, "interested", attention=True, companies=3)
    shop.disturb(stage, times=8, delay=0.3, drop_answer=True)
    with process(tmp_path, database) as running:
        eventually(lambda: tenant.account.calls["by_status"].get("cut"), "a call that was carried out")
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
    shop.crm.faults.clear()
    shop.has_died(running)
    with daemon(database):
        shop.hurry_until_settled(tenant)
    assert shop.statuses() == {"completed": 48}
    for kind, id_ in strangers:
        company.delete(kind, id_)
    shop.assert_exact(tenant)


@pytest.mark.parametrize("crm", KITS)
def test_a_daemon_killed_over_and_over_loses_nothing(
    open_shop: Callable[..., Shop], database: str, tmp_path: Path, crm: str
) -> None:
    shop = open_shop(crm)
    shop.configure(crm, limits=ROOMY)
    tenant = shop.tenant()
    shop.replies(tenant, 40, "interested", attention=True, companies=5)
    struck = 0
    for stage in shop.kit.stages:
        shop.crm.faults.clear()
        shop.disturb(stage, delay=0.2, drop_answer=True)
        with process(tmp_path, database) as running:
            eventually(lambda: shop.hurry() or shop.is_struck or not shop.open_rows(), "a call on the wire")
            running.end(signal.SIGKILL)
        # its last call is still being carried out: leases last longer than that
        struck += shop.is_struck
        wait_for_cuts(tenant, struck)
        shop.has_died(running)
    shop.crm.faults.clear()
    with daemon(database):
        shop.hurry_until_settled(tenant)
    assert shop.statuses() == {"completed": 160}
    shop.assert_exact(tenant)
