"""A part of `make prove`: random faults, kills and replies, the same for the same seed."""

from __future__ import annotations

from tests.prove.driver import Driver
from tests.prove.schedule import KINDS, Schedule

SECONDS = 0.6
SEEDS = range(1, 21)


def test_whatever_happens_nothing_is_lost_and_nothing_doubled() -> None:
    kinds = {type(each.event) for seed in SEEDS for each in Schedule.of(seed, SECONDS).events}
    assert len(kinds) >= len(KINDS) - 2
    driver = Driver(2, SECONDS)
    try:
        tally = driver.play(SEEDS)
    finally:
        driver.close()
    assert [verdict.wrong for verdict in tally.failed] == []
    assert tally.count == len(SEEDS)
    assert tally.rows > 20 * len(SEEDS)
    assert tally.looks > 5 * len(SEEDS)
