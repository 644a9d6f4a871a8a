"""The toy CRM takes the place of the real ones: its module lies where those of the house lie."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import providers
from tests.providers.contract import Account, Sample, new_account
from tests.toy.samples_toy import open_sample


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sample]:
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(Path(__file__).parent)])
    with open_sample() as opened:
        yield opened
    sys.modules.pop("providers.toy", None)


@pytest.fixture
async def account(sample: Sample) -> AsyncIterator[Account]:
    opened = await new_account(sample)
    yield opened
    opened.calm()
