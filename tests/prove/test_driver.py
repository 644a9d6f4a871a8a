"""Whether the driver of `make prove` can fail, and what it makes of that."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from sandbox.server import serve
from tests.house import eventually
from tests.listener.crms import Stage
from tests.listener.relay import relay
from tests.prove.driver import options
from tests.prove.lane import lane
from tests.prove.plants import PLANTS
from tests.prove.schedule import KINDS, Schedule
from tests.prove.shrink import shrink
from tests.prove.traps import Busy, owner_of


def test_each_kind_of_fault_is_in_many_schedules() -> None:
    many = [{type(each.event) for each in Schedule.of(seed, 1.5).events} for seed in range(300)]
    assert all(sum(kind in each for each in many) >= 20 for kind in KINDS)


def test_a_schedule_is_the_same_for_the_same_seed() -> None:
    assert Schedule.of(7, 1.5) == Schedule.of(7, 1.5)
    assert Schedule.of(7, 1.5) != Schedule.of(8, 1.5)
    first, *_, last = Schedule.of(7, 1.5).events
    assert Schedule.of(7, 1.5).only([first.number, last.number]).events == (first, last)


@pytest.mark.parametrize(("guilty", "tries"), [((3,), 12), ((2, 7), 30), ((1, 4, 8), 60), ((), 1)])
def test_shrinking_finds_the_events_that_matter(guilty: Sequence[int], tries: int) -> None:
    asked: list[Sequence[int]] = []

    def fails(events: Sequence[int]) -> bool:
        asked.append(events)
        return set(guilty) <= set(events)

    assert shrink(range(1, 9), fails, seconds=10) == tuple(guilty)
    assert len(asked) <= tries


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("--only 2", "give its --seed"),
        ("--seed 5 --only 99", "schedule 5 has no event 99"),
        ("--schedules 0", "less than one proves nothing"),
        ("--lanes -1", "less than one proves nothing"),
    ],
)
def test_what_would_prove_nothing_is_refused(asked: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options(asked.split())
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", PLANTS)
def test_a_defect_can_still_be_planted(name: str) -> None:
    planted = PLANTS[name]
    assert set(planted.shown_by) <= {kind.__name__ for kind in KINDS}
    if planted.attribute is not None:
        module, _, attribute = planted.attribute[0].partition(":")
        assert isinstance(getattr(import_module(module), attribute), float)
    else:
        assert planted.sql.count("create or replace function") == len({function for function, _, _ in planted.changes})


def test_a_planted_defect_is_found() -> None:
    with lane(PLANTS["finish"]) as planted:
        verdict = planted.play(Schedule.of(1, 0.5).only(()))
    assert any("deals" in words or "notes" in words for words in verdict.wrong), verdict.wrong


def test_a_trap_keeps_back_the_answer_of_a_call_that_was_carried_out() -> None:
    done = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        done.set()
        await PlainTextResponse("made", 201)(scope, receive, send)

    busy = Busy(app)
    with serve(busy) as server, relay(server.url) as way, ThreadPoolExecutor(1) as pool:
        trap = busy.trap(Stage("/deals$"), skip=1)
        assert httpx.post(f"{way.url}/deals").text == "made"
        done.clear()
        caught = pool.submit(httpx.post, f"{way.url}/deals")
        assert done.wait(5)
        eventually(lambda: trap.is_sprung)
        assert busy.count == 0
        assert owner_of(way.callers[trap.port or 0], [os.getpid()]) == os.getpid()
        assert httpx.post(f"{way.url}/deals").text == "made"
        assert not caught.done()
        trap.release()
        assert caught.result(5).text == "made"
