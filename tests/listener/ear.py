"""A notify socket as systemd has one; what was said to it is in `heard`."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Ear:
    """Everything that was said, with the moment of it (monotonic seconds)."""

    def __init__(self, path: Path) -> None:
        self.path = os.fspath(path)
        self.heard: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", self.path)
        self._thread.join(30)
        self._socket.close()

    @property
    def lines(self) -> list[str]:
        return [line for _, said in list(self.heard) for line in said.splitlines()]

    @property
    def statuses(self) -> list[str]:
        return [line.removeprefix("STATUS=") for line in self.lines if line.startswith("STATUS=")]

    def times(self, word: str) -> list[float]:
        """When a word (`WATCHDOG=1`) was said."""
        return [at for at, said in list(self.heard) if word in said.splitlines()]

    def _listen(self) -> None:
        while said := self._socket.recv(4096):
            self.heard.append((time.monotonic(), said.decode()))


@contextmanager
def ear(folder: Path, name: str = "notify") -> Iterator[Ear]:
    listening = Ear(folder / name)
    listening.start()
    try:
        yield listening
    finally:
        listening.stop()
