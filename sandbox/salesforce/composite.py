"""Several calls in one: each may use what those before it answered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.salesforce.errors import ApiError, not_found
from sandbox.salesforce.gate import Answer, Call, Handler

MOST_CALLS = 25
MOST_LARGE = 5
_REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\.\w+|\[\d+\])*)\}")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

Router = Callable[[str, str], tuple[Handler, dict[str, str]] | None]
"""Finds, by method and path below the version, the handler and the path's parameters."""


def composite(router: Router) -> Handler:
    """POST composite, with the endpoints that it may reach."""

    def handle(call: Call) -> Answer:
        body = call.body()
        subrequests = body.get("compositeRequest")
        if not isinstance(subrequests, list) or not subrequests:
            raise ApiError("JSON_PARSER_ERROR", "compositeRequest must list subrequests")
        if len(subrequests) > MOST_CALLS:
            raise ApiError(
                "LIMIT_EXCEEDED", f"The request can't contain more than {MOST_CALLS} operations: {len(subrequests)}"
            )
        _check(subrequests)
        start = call.org.savepoint()
        answers: dict[str, tuple[int, Any]] = {}
        for each in subrequests:
            answers[each["referenceId"]] = _one(router, call, each, answers)
        if body.get("allOrNone") and any(status >= 400 for status, _ in answers.values()):
            call.org.roll_back(start)
            halted = ApiError("PROCESSING_HALTED", "The transaction was rolled back since another operation failed.")
            answers = {
                name: (status, document) if status >= 400 else (400, halted.document())
                for name, (status, document) in answers.items()
            }
        return 200, {
            "compositeResponse": [
                {"body": document, "httpHeaders": {}, "httpStatusCode": status, "referenceId": name}
                for name, (status, document) in answers.items()
            ]
        }

    return handle


def _check(subrequests: list[Any]) -> None:
    names: set[str] = set()
    large = 0
    for each in subrequests:
        if not isinstance(each, dict) or not all(isinstance(each.get(name), str) for name in ("method", "url")):
            raise ApiError("JSON_PARSER_ERROR", "A subrequest has a method, a url and a referenceId")
        name = each.get("referenceId")
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in names:
            raise ApiError("INVALID_INPUT", f"Provided referenceId ('{name}') is missing, invalid or used twice")
        names.add(name)
        large += "/composite/sobjects" in each["url"] or "/query" in each["url"]
    if large > MOST_LARGE:
        raise ApiError("LIMIT_EXCEEDED", f"The request can't contain more than {MOST_LARGE} queries and collections")


def _one(router: Router, call: Call, given: dict[str, Any], answers: dict[str, tuple[int, Any]]) -> tuple[int, Any]:
    point = call.org.savepoint()
    try:
        url = urlsplit(_filled(given["url"], answers))
        prefix, _, path = url.path.partition(f"/services/data/v{call.version}")
        found = router(given["method"], unquote(path)) if not prefix else None
        if found is None:
            raise not_found()
        handler, params = found
        content = given.get("body")
        sub = replace(
            call,
            params={"version": call.version, **params},
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={
                "content-type": "application/json",
                **{str(name).lower(): str(value) for name, value in (given.get("httpHeaders") or {}).items()},
            },
            raw=json.dumps(_replaced(content, answers)).encode() if content is not None else b"",
        )
        return handler(sub)
    except ApiError as error:
        call.org.roll_back(point)
        return error.status, error.document()


def _replaced(value: Any, answers: dict[str, tuple[int, Any]]) -> Any:
    if isinstance(value, str):
        return _filled(value, answers)
    if isinstance(value, list):
        return [_replaced(each, answers) for each in value]
    if isinstance(value, dict):
        return {name: _replaced(each, answers) for name, each in value.items()}
    return value


def _filled(text: str, answers: dict[str, tuple[int, Any]]) -> str:
    def one(found: re.Match[str]) -> str:
        status, value = answers.get(found[1], (404, None))
        if status >= 400:
            raise ApiError(
                "PROCESSING_HALTED",
                f"Invalid reference specified. No value for {found[0][2:-1]} found in {found[1]}",
            )
        for name, index in _STEP.findall(found[2]):
            try:
                value = value[int(index)] if index else value[name]
            except (KeyError, IndexError, TypeError):
                raise ApiError(
                    "PROCESSING_HALTED",
                    f"Invalid reference specified. No value for {found[0][2:-1]} found in {found[1]}",
                ) from None
        return str(value)

    return _REFERENCE.sub(one, text)
