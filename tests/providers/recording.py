"""What a CRM answered to a whole sync, kept, so that it can be answered again with something else in it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from providers import client_for
from providers.base import Client
from providers.models import Batch
from providers.report import Report
from tests.providers.contract import (
    Account,
    Budget,
    Sample,
    Tokens,
    batch_of,
    contacts_of,
    follow_ups,
    new_account,
    push,
)

Step = Callable[[Client], Awaitable[Any]]


class Answered(NamedTuple):
    """One answer: to what, and what."""

    asked: tuple[str, str]
    status: int
    body: bytes


@dataclass
class Tape:
    """The answers of one step, in the order in which they came.

    Attributes:
        known: ids of the CRM's that the documents themselves name.
    """

    sample: Sample
    account: Account
    step: str
    batch: Batch
    answers: list[Answered] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    async def play(self, http: httpx.AsyncClient) -> Any:
        """The step once more; a push gives its report."""
        client = client_for(self.sample.name)(self.account.config, Tokens(self.account, http), Budget(), http)
        if self.step == "push":
            report = Report(self.batch)
            try:
                await client.push(self.batch, report)
            finally:
                self.report = report
            return report
        return await getattr(client, self.step)()

    def answering(self, changed: dict[int, tuple[int, bytes]]) -> tuple[httpx.MockTransport, list[bytes]]:
        """Whoever asks the same gets the same, but for these; and a list of what was given."""
        queues: dict[tuple[str, str], list[tuple[int, bytes]]] = defaultdict(list)
        for index, each in enumerate(self.answers):
            queues[each.asked].append(changed.get(index, (each.status, each.body)))
        given: list[bytes] = []

        def answer(request: httpx.Request) -> httpx.Response:
            if len(given) > 10 * len(self.answers) + 50:
                raise AssertionError("the client asks without end")
            queue = queues.get((request.method, request.url.path), [(404, b'{"message": "nothing here"}')])
            status, body = queue.pop(0) if len(queue) > 1 else queue[0]
            given.append(body)
            return httpx.Response(status, stream=_Body(body), headers={"content-type": "application/json"})

        return httpx.MockTransport(answer), given


class _Body(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> Any:
        yield self._body


class _Listening(httpx.AsyncBaseTransport):
    def __init__(self, answers: list[Answered]) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._answers = answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = b"".join([chunk async for chunk in response.aiter_raw()])
        await response.aclose()
        self._answers.append(Answered((request.method, request.url.path), response.status_code, body))
        return httpx.Response(response.status_code, headers=response.headers, stream=_Body(body))

    async def aclose(self) -> None:
        await self._inner.aclose()


async def record(sample: Sample) -> list[Tape]:
    """A fresh account prepared, described and identified, contacts new and known, and what follows, new and doubted."""
    fresh, account = sample.open_account(), await new_account(sample)
    contacts = contacts_of(sample)
    tapes = [
        _tape(sample, fresh, "ensure_schema"),
        _tape(sample, account, "describe"),
        _tape(sample, account, "identify"),
    ]
    tapes.append(_tape(sample, account, "push", *contacts))
    for tape in tapes:
        await _fill(tape)
    pushed = await push(sample, account, *contacts)
    later = follow_ups(sample, contacts, pushed)
    for documents in (
        [each.model_copy(update={"external_id": pushed.of(each).external_id}) for each in contacts],
        [each.model_copy(update={"uncertain": True}) for each in contacts],
        later,
        [each.model_copy(update={"uncertain": True}) for each in later],
    ):
        tape = _tape(sample, account, "push", *documents)
        await _fill(tape)
        tapes.append(tape)
    return tapes


def _tape(sample: Sample, account: Account, step: str, *documents: Any) -> Tape:
    tape = Tape(sample, account, step, batch_of(account, sample.name, documents))
    for each in documents:
        for name in ("external_id", "contact_external_id", "company_external_id"):
            tape.known.add(getattr(each, name, None) or "")
    return tape


async def _fill(tape: Tape) -> None:
    async with httpx.AsyncClient(transport=_Listening(tape.answers)) as http:
        await tape.play(http)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something is in a JSON value, itself first."""
    yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value[:20]):
            yield from places(each, (*path, index))


def changed(body: bytes, path: tuple[Any, ...], value: Any, *, is_removed: bool, name: str | None = None) -> bytes:
    """The body with something else at this place, under a name in it where it is an object, or with nothing there."""
    root = {"": json.loads(body)}
    holder: Any = root
    for step in ("", *path)[:-1]:
        holder = holder[step]
    last = ("", *path)[-1]
    if is_removed and path:
        del holder[last]
    elif name is not None and isinstance(holder[last], dict):
        holder[last][name] = value
    else:
        holder[last] = value
    return json.dumps(root[""]).encode()
