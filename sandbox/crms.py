"""Every emulated CRM, as the sandbox serves them."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.app import Crm
from sandbox.hubspot import HubSpot
from sandbox.pipedrive import Pipedrive
from sandbox.salesforce import Salesforce

Clock = Callable[[], float]

SEARCH_LAG = 2.0
"""Seconds of a CRM's clock until its search finds what was written: an index follows the records."""


def emulate(name: str, clock: Clock = time.time, *, limits: bool = True) -> Crm:
    """A CRM without accounts; raises KeyError for an unknown name."""
    return _MAKERS[name](clock, limits)


def locate(crm: Crm, url: str) -> None:
    """Where other processes reach a CRM: some name the address of their API along with a token."""
    if isinstance(crm, Salesforce | Pipedrive):
        crm.base_url = f"{url}/{crm.name}"


_MAKERS: dict[str, Callable[[Clock, bool], Crm]] = {
    "hubspot": lambda clock, limits: HubSpot(clock, limits=limits, search_lag=SEARCH_LAG),
    "salesforce": Salesforce,
    "pipedrive": lambda clock, limits: Pipedrive(clock, limits=limits, search_lag=SEARCH_LAG),
}
NAMES = tuple(_MAKERS)
