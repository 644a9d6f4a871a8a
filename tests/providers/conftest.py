"""One emulator of each CRM for the whole run; every test opens an account of its own in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.providers.contract import Account, Sample, new_account, open_sample, sample_names
from tests.providers.person import Person
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample


@pytest.fixture(scope="session")
def samples() -> Iterator[dict[str, Sample]]:
    """Opened when first asked for, closed at the end."""
    opened: dict[str, Sample] = {}
    contexts = []
    for name in sample_names():
        context = open_sample(name)
        opened[name] = context.__enter__()
        contexts.append(context)
    yield opened
    for context in reversed(contexts):
        context.__exit__(None, None, None)


@pytest.fixture(params=sample_names())
def sample(request: pytest.FixtureRequest, samples: dict[str, Sample]) -> Sample:
    return samples[request.param]


@pytest.fixture
async def account(sample: Sample) -> AsyncIterator[Account]:
    opened = await new_account(sample)
    yield opened
    opened.calm()


@pytest.fixture
def hubspot(samples: dict[str, Sample]) -> HubSpotSample:
    found = samples["hubspot"]
    assert isinstance(found, HubSpotSample)
    return found


@pytest.fixture
async def portal(hubspot: HubSpotSample) -> AsyncIterator[HubSpotAccount]:
    opened = await new_account(hubspot)
    assert isinstance(opened, HubSpotAccount)
    yield opened
    opened.calm()


@pytest.fixture
def person(portal: HubSpotAccount) -> Iterator[Person]:
    opened = Person(portal)
    yield opened
    opened.close()
