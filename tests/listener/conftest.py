"""An emulator and a shop for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.hubspot import HubSpot
from sandbox.server import Server, serve
from tests.house import House
from tests.listener.shop import Shop


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
