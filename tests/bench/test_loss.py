"""What a benchmark says that something costs a pipeline, where it is known what it costs."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from bench.loss import Leg, estimate, processor_seconds, trimmed


def pairs(*, takes: float, dearer: float, blocks: int = 60) -> list[tuple[Leg, Leg]]:
    """Of a pipeline that has two processors less what others take by turns, and whose rows cost what they cost."""
    lots = random.Random(1)

    def leg(is_done: bool) -> Leg:
        machine = lots.uniform(1.4, 2.0)  # what others leave
        pipeline = 4.0 * (machine - takes * is_done)
        contacts = lots.random()  # of the time
        done = 4000 * pipeline * (1 - dearer * is_done) * lots.gauss(1, 0.02)
        work = (round(done * contacts), round(2 * done * (1 - contacts)), 0)
        return Leg(is_done, sum(work), work, 4.0, pipeline, 4.0 * (takes * is_done + 0.01), 4.0 * machine)

    return [(leg(False), leg(True)) for _ in range(blocks)]


@pytest.mark.parametrize(("takes", "dearer"), [(0.0, 0.0), (0.05, 0.0), (0.05, 0.02), (0.5, 0.0)])
def test_a_known_cost_is_found_within_a_point_though_rates_and_rows_vary_by_far_more(
    takes: float, dearer: float
) -> None:
    loss = estimate(pairs(takes=takes, dearer=dearer))
    truth = 100 * (1 - (1 - takes / 1.7) * (1 - dearer))
    assert loss.takes == pytest.approx(takes, abs=0.001)
    assert loss.loss.error < 0.5 < loss.raw.error
    assert loss.loss.mean == pytest.approx(truth, abs=1)
    assert loss.raw.mean == pytest.approx(truth, abs=4 * loss.raw.error)


def test_one_block_that_met_something_else_does_not_decide() -> None:
    assert trimmed([2.0] * 19 + [90.0]).mean == 2


def test_the_processors_time_of_a_process_is_what_it_has_worked() -> None:
    spin = "from time import process_time\nwhile process_time() < 0.2: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        spent = processor_seconds(process.pid)
        assert spent is not None
        assert 0.2 <= spent < 2
        process.stdin.close()
    assert processor_seconds(process.pid) is None
