"""What each benchmark must reach: the one place of the thresholds."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping

COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "<": operator.lt,
    "=": operator.eq,
}

WANTED: dict[str, dict[str, tuple[str, float]]] = {
    "producer": {
        "vs_notify_16": (">=", 3.0),
        "vs_notify_64": (">=", 3.0),
        "vs_silent_16": (">=", 0.85),
        "vs_silent_64": (">=", 0.85),
        "vs_bare_16": (">=", 0.5),
        "undrained": ("=", 0),
        "lost_wakeups": ("=", 0),
    },
    "drain": {
        "vs_pgqueuer": (">=", 2.5),
        "vs_graphile_worker": (">=", 1.0),
        "vs_pg_boss": (">=", 1.0),
        "vs_procrastinate": (">=", 1.0),
        "full_rows_per_s": (">=", 5_000),
    },
    "latency": {"p50_ms": ("<=", 6), "p99_ms": ("<=", 25), "vs_best_peer_p50": ("<=", 1.5)},
    "calls": {
        "hubspot": ("<=", 0.06),
        "salesforce": ("<=", 0.04),
        "pipedrive_new": ("<=", 3.2),
        "pipedrive_known": ("<=", 1.3),
        "throttled": ("=", 0),
        "budget_share": (">=", 0.9),
    },
    "backlog": {"flat": (">=", 0.85)},
    "pinned": {"vs_unpinned": (">=", 0.8), "vs_best_peer": (">=", 1.0)},
    "fleet": {"linear_4": (">=", 0.9), "doubled": ("=", 0), "stranger_delay_ms": ("<=", 1_000)},
    "footprint": {"rss_mb": ("<=", 80), "idle_cpu_pct": ("<", 0.5), "ready_s": ("<=", 1)},
    "questions": {"questions": (">=", 20), "worst_ms": ("<=", 50), "throughput_loss": ("<", 2)},
    "growth": {"queue_growth": ("<=", 1.1), "indexes_growth": ("<=", 1.1), "log_growth": ("<=", 1.1)},
}


def verdict(bench: str, key: str, value: float | None) -> str | None:
    """`met`, `not met` or `not measured`; None for a figure that nothing is wanted of."""
    if key not in WANTED.get(bench, {}):
        return None
    if value is None:
        return "not measured"
    sign, limit = WANTED[bench][key]
    return "met" if COMPARE[sign](value, limit) else "not met"


def verdicts(bench: str, figures: Mapping[str, float | None]) -> Iterator[str]:
    """A line for each figure that something is wanted of."""
    for key, (sign, limit) in WANTED.get(bench, {}).items():
        value = figures.get(key)
        yield f"{bench} {key}: {'none' if value is None else f'{value:,}'}, wanted {sign} {limit:,}: {verdict(bench, key, value)}"
