"""An emulator and a shop for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from sandbox.app import Crm
from sandbox.hubspot import HubSpot
from sandbox.server import Server, serve
from tests.house import House
from tests.listener.command_scene import acme, acted, asked, there  # noqa: F401 - fixtures
from tests.listener.crms import KITS
from tests.listener.shop import Shop

INDEX_LAG = 30.0
"""Seconds: longer than any test here, so that nothing written in one is found by a CRM's search."""


@pytest.fixture
def hubspot() -> HubSpot:
    return HubSpot(limits=False, search_lag=0.0, rotate_refresh_tokens=True)


@pytest.fixture
def crm(hubspot: HubSpot) -> Iterator[Server]:
    with serve(hubspot.app) as server:
        yield server


@pytest.fixture
def shop(house: House, hubspot: HubSpot, crm: Server) -> Shop:
    return Shop(house, hubspot, crm.url)


@pytest.fixture
def open_shop(house: House) -> Iterator[Callable[..., Shop]]:
    """Opens a shop with the emulator of the named CRM, or with one that is given."""
    with ExitStack() as stack:

        def open_(crm: str | Crm) -> Shop:
            emulator = KITS[crm].make(INDEX_LAG) if isinstance(crm, str) else crm
            return Shop(house, emulator, stack.enter_context(serve(emulator.app)).url)

        yield open_


@pytest.fixture(params=list(KITS))
def each_shop(open_shop: Callable[..., Shop], request: pytest.FixtureRequest) -> Shop:
    """A shop of each CRM."""
    return open_shop(request.param)
