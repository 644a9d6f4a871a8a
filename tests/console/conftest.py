"""A console for each test; the CRMs' emulators come from the daemon's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

import pytest

from sandbox.server import serve
from tests.console.people import Scene
from tests.console.visitor import Browser, Stage, stage
from tests.house import House
from tests.listener.crms import KITS
from tests.listener.shop import Shop


@dataclass(frozen=True)
class Member:
    """A user of an organization, and the browser."""

    organization: UUID
    user: UUID
    browser: Browser


@pytest.fixture
async def console(house: House, database: str) -> AsyncIterator[Stage]:
    async with stage(house, database) as opened:
        yield opened


def member_of(stage: Stage, name: str = "Acme", organization: UUID | None = None) -> Member:
    """A new user of a new organization, or of one there is."""
    organization = organization or stage.house.organization(name)
    user = stage.house.user(organization, f"{name.lower()}-{organization}@example.com")
    return Member(organization, user, stage.browser(user))


@pytest.fixture
def ada(console: Stage) -> Member:
    """A member of Acme."""
    return member_of(console)


@pytest.fixture
def scene(house: House, ada: Member) -> Scene:
    """Of ada's organization."""
    return Scene(house, ada.organization)


@pytest.fixture
def eve(console: Stage) -> Member:
    """A member of another organization."""
    return member_of(console, "Evil")


@pytest.fixture
def open_shop(house: House) -> Iterator[Callable[[str], Shop]]:
    """Opens a shop with the emulator of the named CRM."""
    with ExitStack() as stack:

        def open_(crm: str) -> Shop:
            emulator = KITS[crm].make(30.0)
            return Shop(house, emulator, stack.enter_context(serve(emulator.app)).url)

        yield open_


@pytest.fixture
def shop(open_shop: Callable[[str], Shop]) -> Shop:
    """HubSpot's."""
    return open_shop("hubspot")


@pytest.fixture(params=list(KITS))
def each_shop(open_shop: Callable[[str], Shop], request: pytest.FixtureRequest) -> Shop:
    """A shop of each CRM."""
    return open_shop(request.param)
