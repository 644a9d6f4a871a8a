from __future__ import annotations

from uuid import UUID

import pytest

from tests.house import House
from tests.sql.daemon import Daemon


@pytest.fixture
def daemon(house: House) -> Daemon:
    return Daemon(house)


@pytest.fixture
def organization(house: House) -> UUID:
    return house.organization()


@pytest.fixture
def integration(house: House, organization: UUID) -> int:
    """A connection of `organization` to HubSpot."""
    return house.integration(organization)
