"""Faults an emulator can be told to commit, for real, on the socket."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What goes wrong, for which requests, and how often.

    Attributes:
        path: regular expression searched in the path, as the CRM's own API names it (without any mount prefix).
        method: HTTP method; None is any.
        account: the account, known by its access token; None is any. Calls without an access token belong to none.
        times: how many matching requests it strikes.
        skip: how many matching requests pass unharmed before.
        status: answer with this status, without handling the request.
        body: the body of that answer: a JSON document, or text.
        headers: further headers of that answer.
        delay: seconds to wait before anything else; alone, the request is handled as usual afterwards.
        drop_answer: handle the request fully, then cut the connection instead of answering.
        cut: cut the connection without handling the request.
        cut_body: handle the request, announce the full length, send half of the body, then cut.
        html: answer with an HTML page (of `status`, or 200), without handling the request.
    """

    path: str = ".*"
    method: str | None = None
    account: int | None = None
    times: int = 1
    skip: int = 0
    status: int | None = None
    body: dict[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop_answer: bool = False
    cut: bool = False
    cut_body: bool = False
    html: bool = False

    def __post_init__(self) -> None:
        re.compile(self.path)
        if self.times < 1 or self.skip < 0 or self.delay < 0:
            raise ValueError("a fault strikes at least once, and skips and delays by no less than nothing")
        harms = [self.drop_answer, self.cut, self.cut_body, self.html or self.status is not None]
        if sum(harms) > 1:
            raise ValueError("a fault does one of: status or html, drop_answer, cut, cut_body")
        if not any(harms) and not self.delay:
            raise ValueError("a fault that does nothing: give a status, html, a delay, drop_answer, cut or cut_body")

    @classmethod
    def parse(cls, document: object) -> Fault:
        """A fault from its JSON form; raises ValueError for anything else."""
        if not isinstance(document, dict):
            raise ValueError("a fault is a JSON object")  # noqa: TRY004 - callers know one error for bad input
        known = {each.name for each in fields(cls)}
        if unknown := sorted(set(document) - known):
            raise ValueError(f"a fault has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        try:
            return cls(**document)
        except (TypeError, re.error) as error:
            raise ValueError(f"not a fault: {error}") from error

    def matches(self, method: str, path: str, account: int | None) -> bool:
        """Whether this request is one of those that it strikes or skips."""
        return (
            (self.method is None or self.method.upper() == method)
            and (self.account is None or self.account == account)
            and re.search(self.path, path) is not None
        )


class Faults:
    """The faults that are still to happen; the first that matches a request strikes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Pending] = []

    def add(self, fault: Fault) -> Pending:
        """Plan a fault; what is returned tells how often it is still to strike."""
        pending = Pending(fault, fault.skip, fault.times)
        with self._lock:
            self._pending.append(pending)
        return pending

    def clear(self) -> None:
        """Forget all that is planned."""
        with self._lock:
            self._pending.clear()

    def __len__(self) -> int:
        """How many planned faults have not struck as often as they should."""
        return len(self._pending)

    def take(self, method: str, path: str, account: int | None) -> Fault | None:
        """The fault that strikes this request, counted as having struck."""
        with self._lock:
            for pending in self._pending:
                if not pending.fault.matches(method, path, account):
                    continue
                if pending.skip:
                    pending.skip -= 1
                    continue
                pending.left -= 1
                if not pending.left:
                    self._pending.remove(pending)
                return pending.fault
        return None


@dataclass(eq=False)
class Pending:
    """A planned fault: `skip` calls it lets pass, `left` it is to strike."""

    fault: Fault
    skip: int
    left: int
