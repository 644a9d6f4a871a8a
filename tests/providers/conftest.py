"""One emulator of each CRM for the whole run; every test opens an account of its own in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack

import psycopg
import pytest

from tests.postgres import TestServer
from tests.providers.contract import Account, Sample, new_account, open_sample, sample_names
from tests.providers.person import Person
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample
from tests.providers.samples_pipedrive import PipedriveAccount, PipedriveSample
from tests.providers.samples_pipedrive import open_sample as open_pipedrive
from tests.providers.samples_salesforce import SalesforceAccount, SalesforceSample

Registry = Mapping[tuple[str, str], tuple[str, int | None]]


@pytest.fixture(scope="session")
def registry(postgres: TestServer, template: str) -> Registry:
    """Kind and status of each row of `crm_sync.errors`, by provider and code."""
    with psycopg.connect(template, autocommit=True) as connection:
        rows = connection.execute("select provider, code, kind, status from crm_sync.errors").fetchall()
    return {(provider, code): (kind, status) for provider, code, kind, status in rows}


class Samples:
    """The CRMs, each opened when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._opened: dict[str, Sample] = {}

    def __getitem__(self, name: str) -> Sample:
        if name not in self._opened:
            self._opened[name] = self._stack.enter_context(open_sample(name))
        return self._opened[name]


@pytest.fixture(scope="session")
def samples() -> Iterator[Samples]:
    """Closed at the end of the run."""
    with ExitStack() as stack:
        yield Samples(stack)


@pytest.fixture(params=sample_names())
def sample(request: pytest.FixtureRequest, samples: Samples) -> Sample:
    return samples[request.param]


@pytest.fixture
async def account(sample: Sample) -> AsyncIterator[Account]:
    opened = await new_account(sample)
    yield opened
    opened.calm()


@pytest.fixture
def hubspot(samples: Samples) -> HubSpotSample:
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


@pytest.fixture
def salesforce(samples: Samples) -> SalesforceSample:
    found = samples["salesforce"]
    assert isinstance(found, SalesforceSample)
    return found


@pytest.fixture
async def org(salesforce: SalesforceSample) -> AsyncIterator[SalesforceAccount]:
    opened = await new_account(salesforce)
    assert isinstance(opened, SalesforceAccount)
    yield opened
    opened.calm()


@pytest.fixture(scope="session")
def crm() -> Iterator[PipedriveSample]:
    with open_pipedrive(limits=False) as opened:
        yield opened


@pytest.fixture
async def company(crm: PipedriveSample) -> AsyncIterator[PipedriveAccount]:
    opened = await new_account(crm)
    assert isinstance(opened, PipedriveAccount)
    yield opened
    opened.calm()
