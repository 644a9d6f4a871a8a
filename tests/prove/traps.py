"""Calls to a CRM as the driver sees them: how many are under way, and one that is caught once it was carried out."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.listener.crms import Stage

LONGEST_SECONDS = 10.0
SOCKET = re.compile(r"socket:\[(\d+)\]")


class Trap:
    """Keeps back the answer to one call that was carried out; the effect is there, and only the caller does not know.

    Attributes:
        port: from which the call came, as the CRM sees it; None until one is caught.
    """

    def __init__(self, stage: Stage, skip: int) -> None:
        self._stage, self._skip = stage, skip
        self._lock = threading.Lock()
        self._is_released = threading.Event()
        self.port: int | None = None

    @property
    def is_sprung(self) -> bool:
        return self.port is not None

    def matches(self, scope: Scope) -> bool:
        if self.is_sprung or self._is_released.is_set() or scope["type"] != "http":
            return False
        return (
            scope["method"] == (self._stage.method or scope["method"])
            and re.search(self._stage.path, scope["path"]) is not None
        )

    def catch(self, scope: Scope) -> bool:
        """Whether this call is the one."""
        with self._lock:
            if self.is_sprung or self._is_released.is_set():
                return False
            if self._skip:
                self._skip -= 1
                return False
            self.port = scope["client"][1]
            return True

    def release(self) -> None:
        """Pass the answer on; a trap that has caught nothing catches nothing any more."""
        self._is_released.set()

    async def wait(self) -> None:
        deadline = asyncio.get_running_loop().time() + LONGEST_SECONDS
        while not self._is_released.is_set() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.002)


class Busy:
    """An app, and how many of its requests are under way: a dead daemon's last request may still have its effect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._traps: list[Trap] = []
        self.count = 0
        self.done = 0

    def trap(self, stage: Stage, skip: int = 0) -> Trap:
        """Catch a call of this stage, after so many others of it."""
        trap = Trap(stage, skip)
        self._traps.append(trap)
        return trap

    def release(self) -> None:
        """Open all traps."""
        for trap in self._traps:
            trap.release()
        self._traps.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._lock:
            self.count += 1
        trap = next((each for each in self._traps if each.matches(scope)), None)
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        try:
            await self._app(scope, receive, send if trap is None else hold)
        finally:
            with self._lock:
                self.count -= 1
                self.done += 1
        if trap is None:
            return
        if held and held[0].get("status", 500) < 300 and trap.catch(scope):
            await trap.wait()
        with suppress(OSError):
            for message in held:
                await send(message)


def owner_of(port: int, pids: Iterable[int]) -> int | None:
    """Which of these processes has the local end of a connection at this port."""
    local = f"0100007F:{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    sockets = {row[9] for row in rows if row[1] == local}
    for pid in pids:
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    found = SOCKET.fullmatch(str(descriptor.readlink()))
                    if found is not None and found[1] in sockets:
                        return pid
    return None
