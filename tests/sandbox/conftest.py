"""An emulated HubSpot on a port, with one portal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.hubspot import HubSpot
from sandbox.server import serve
from tests.clock import Clock
from tests.sandbox.hubspot_client import Hub


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hubspot(clock: Clock) -> HubSpot:
    return HubSpot(clock, limits=False)


@pytest.fixture
def hub(hubspot: HubSpot) -> Iterator[Hub]:
    with serve(hubspot.app) as server, Hub(server.url, hubspot, hubspot.open_portal()) as hub:
        yield hub
