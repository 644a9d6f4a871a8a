"""How the sandbox misbehaves with --faults: as CRMs do now and then, and worse."""

from __future__ import annotations

import math
from typing import Any

from sandbox.demo.control import Control

MANY_PORTALS = 20
_LIMITED = {
    "status": "error",
    "message": "You have reached your ten_secondly_rolling limit.",
    "errorType": "RATE_LIMIT",
    "policyName": "TEN_SECONDLY_ROLLING",
}
_BROKEN = {"status": "error", "message": "internal error", "category": "INTERNAL_ERROR"}


def plan_faults(control: Control, portals: int) -> int:
    """Plan them, spread over the first few hundred calls of any portal; returns how many strikes they are."""
    lost: list[dict[str, Any]] = [
        # done, but nobody hears of it: what a careless client does twice
        {"path": "/contacts/batch/upsert", "skip": 4, "times": 3, "drop_answer": True},
        {"path": "/companies/batch/upsert", "skip": 6, "times": 2, "drop_answer": True},
        {"path": "/deals/batch/upsert", "skip": 3, "times": 3, "drop_answer": True},
        {"path": "/notes/batch/create", "skip": 5, "times": 4, "drop_answer": True},
        {"path": "/notes/batch/create", "skip": 12, "times": 2, "cut_body": True},
        {"path": "/associate/default", "skip": 8, "times": 3, "drop_answer": True},
    ]
    refused: list[dict[str, Any]] = [
        {"path": "/batch/", "skip": 20, "times": 4, "status": 500, "body": _BROKEN},
        {"path": "/batch/", "skip": 40, "times": 2, "status": 502, "html": True},
        {"path": "/batch/", "skip": 60, "times": 4, "status": 429, "body": _LIMITED, "headers": {"Retry-After": "1"}},
        {"path": "/batch/", "skip": 80, "times": 3, "cut": True},
        {"path": "/batch/", "skip": 100, "times": 3, "delay": 0.8},
    ]
    strikes = 0
    for fault in (*lost, *refused):
        # the pauses after failures in a row double: a few portals must not get what is meant for twenty
        times = math.ceil(fault["times"] * portals / MANY_PORTALS)
        control.add_fault(**{**fault, "times": times, "skip": fault["skip"] * portals // MANY_PORTALS})
        strikes += times
    return strikes
