"""A CRM that is broken, or in strange hands, answers anything: it costs its own rows, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.errors import ProviderError, Stopping
from tests.providers.conftest import Samples
from tests.providers.contract import sample_names
from tests.providers.recording import Tape, changed, places, record

EXAMPLES = int(os.environ.get("CRM_SYNC_FUZZ_EXAMPLES", "60"))
"""For each CRM; more of them is `CRM_SYNC_FUZZ_EXAMPLES=5000`."""
QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 60,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**53, 10**400, float("inf"), float("nan"), 1.5),
    *("", " ", "0", "-1", "x", "\x00", "\ud83d", "a\nb", "\u202e<b>\x1b[31m", "x" * 9_000, "../../x?y#z", "null"),
    *([], {}, [[]], [None], [{}], ["x"], {"id": None}, {"id": ""}, {"id": {"id": 1}}, {"x": {"x": []}}, [[[[[]]]]]),
)


NAMES = (
    *("errors", "paging", "message", "category", "policyName", "context", "nextRecordsUrl", "done", "additional_data"),
    *("error", "errorCode", "fields", "data", "custom_fields", "duplicateResult", "id", "results"),
)
ADDED: tuple[str | None, ...] = (None, None, None, *NAMES)


@pytest.fixture(scope="module")
def tapes(samples: Samples) -> dict[str, list[Tape]]:
    """Of each CRM, once."""
    return {name: asyncio.run(record(samples[name])) for name in sample_names()}


@pytest.mark.parametrize("name", sample_names())
@given(data=st.data())
@QUICK
def test_whatever_is_answered_is_an_outcome_in_words_and_never_success_without_an_id(
    tapes: dict[str, list[Tape]], name: str, data: st.DataObject
) -> None:
    tape = data.draw(st.sampled_from(tapes[name]))
    assert tape.answers
    altered: dict[int, tuple[int, bytes]] = {}
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(tape.answers) - 1))
        before = tape.answers[index]
        status, body = altered.get(index, (before.status, before.body))
        path = data.draw(st.sampled_from(list(places(json.loads(body or b"null")))))
        value, added = data.draw(st.sampled_from(HOSTILE)), data.draw(st.sampled_from(ADDED))
        body = changed(body or b"null", path, value, is_removed=data.draw(st.booleans()), name=added)
        altered[index] = data.draw(st.sampled_from((status, status, status, 200, 207, 400, 404, 409, 503))), body
    asyncio.run(_play(tape, altered))


async def _play(tape: Tape, altered: dict[int, tuple[int, bytes]]) -> None:
    transport, given_back = tape.answering(altered)
    ended: ProviderError | None = None
    result: Any = None
    async with httpx.AsyncClient(transport=transport) as http:
        try:
            result = await tape.play(http)
        except ProviderError as error:
            ended = error
        except Stopping:
            pass
    if tape.step != "push":
        text = repr(ended) if result is None else json.dumps(_plain(result))
        assert is_storable(text), text
        return
    served = b" ".join(given_back).decode(errors="replace")
    for outcome in tape.report.close(ended):
        assert is_storable(json.dumps(asdict(outcome), default=str))
        if outcome.status == "synced":
            id_ = outcome.external_id
            assert isinstance(id_, str)
            assert id_ not in ("", "None", "True", "False", "{}", "[]")
            assert id_ in tape.known or json.dumps(id_)[1:-1] in served, id_


def is_storable(text: str) -> bool:
    """Whether jsonb takes it: no NUL, no half of a pair, no number that is none."""
    return not any(each in text for each in ("\\u0000", "\\ud83d", "NaN", "Infinity"))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value
