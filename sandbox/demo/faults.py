"""How the sandbox misbehaves with --faults: as CRMs do now and then, and worse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.demo.control import Control

MANY_ACCOUNTS = 20
PLAIN_500 = {"status": 500, "body": "internal error"}

# What is done although nobody hears of it: a careless client does these twice.
LOST: dict[str, list[dict[str, Any]]] = {
    "hubspot": [
        {"path": "/contacts/batch/upsert", "skip": 4, "times": 3, "drop_answer": True},
        {"path": "/companies/batch/upsert", "skip": 6, "times": 2, "drop_answer": True},
        {"path": "/deals/batch/upsert", "skip": 3, "times": 3, "drop_answer": True},
        {"path": "/notes/batch/create", "skip": 5, "times": 4, "drop_answer": True},
        {"path": "/notes/batch/create", "skip": 12, "times": 2, "cut_body": True},
        {"path": "/tasks/batch/create", "skip": 2, "times": 2, "drop_answer": True},
        {"path": "/associate/default", "skip": 8, "times": 3, "drop_answer": True},
    ],
    "salesforce": [
        {"path": "/composite/sobjects/Account", "skip": 5, "times": 3, "drop_answer": True},
        {"path": "/composite/sobjects/Contact", "skip": 4, "times": 3, "drop_answer": True},
        {"path": "/composite/sobjects/Opportunity/", "skip": 3, "times": 3, "drop_answer": True},
        {"path": "/composite/sobjects/Task", "skip": 5, "times": 4, "drop_answer": True},
        {"path": "/composite/sobjects/Task", "skip": 14, "times": 2, "cut_body": True},
    ],
    "pipedrive": [
        {"method": "POST", "path": "/persons$", "skip": 20, "times": 3, "drop_answer": True},
        {"method": "POST", "path": "/organizations$", "skip": 10, "times": 3, "drop_answer": True},
        {"method": "POST", "path": "/deals$", "skip": 10, "times": 3, "drop_answer": True},
        {"method": "POST", "path": "/notes$", "skip": 30, "times": 3, "drop_answer": True},
        {"method": "POST", "path": "/notes$", "skip": 60, "times": 2, "cut_body": True},
        {"method": "POST", "path": "/activities$", "skip": 5, "times": 2, "drop_answer": True},
    ],
}
_HUBSPOT_LIMIT = {
    "status": "error",
    "message": "You have reached your ten_secondly_rolling limit.",
    "errorType": "RATE_LIMIT",
    "policyName": "TEN_SECONDLY_ROLLING",
}
_SALESFORCE_LIMIT = '[{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]'
_PIPEDRIVE_LIMIT = {"success": False, "error": "request over limit", "data": None}
# What each of them says when it is asked too much, with a pause that does not keep the audience waiting.
LIMITED: dict[str, dict[str, Any]] = {
    "hubspot": {"status": 429, "body": _HUBSPOT_LIMIT, "headers": {"Retry-After": "1"}},
    "salesforce": {"status": 403, "body": _SALESFORCE_LIMIT, "headers": {"Retry-After": "1"}},
    "pipedrive": {"status": 429, "body": _PIPEDRIVE_LIMIT, "headers": {"x-ratelimit-reset": "1", "Retry-After": "1"}},
}
WRITES = {"hubspot": "/batch/", "salesforce": "/composite/sobjects", "pipedrive": "/api/v[12]/"}


def plan_faults(control: Control, accounts: Mapping[str, Mapping[Any, int]]) -> int:
    """Plan them, spread over the first few hundred calls of any account; returns how many strikes they are."""
    return sum(_plan(control, crm, _faults_of(crm), len(opened)) for crm, opened in accounts.items())


def _faults_of(crm: str) -> list[dict[str, Any]]:
    path = WRITES[crm]
    return [
        *LOST[crm],
        {"path": path, "skip": 20, "times": 4, **PLAIN_500},
        {"path": path, "skip": 40, "times": 2, "status": 502, "html": True},
        {"path": path, "skip": 60, "times": 4, **LIMITED[crm]},
        {"path": path, "skip": 80, "times": 3, "cut": True},
        {"path": path, "skip": 100, "times": 3, "delay": 0.8},
    ]


def _plan(control: Control, crm: str, faults: Sequence[Mapping[str, Any]], accounts: int) -> int:
    strikes = 0
    for fault in faults:
        # the pauses after failures in a row double: a few accounts must not get what is meant for twenty
        times = math.ceil(fault["times"] * accounts / MANY_ACCOUNTS)
        control.add_fault(crm, **{**fault, "times": times, "skip": fault["skip"] * accounts // MANY_ACCOUNTS})
        strikes += times
    return strikes
