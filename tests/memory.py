"""A core dump of nothing but the database: what a server's processes hold in memory, in files that can be searched.

No debugger is needed: the kernel shows it in /proc, to root and, where it lets a user look at their own processes, to
whoever runs the server.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

SHARED = "shared"
"""The file of what all share: buffers of tables and of the log, what each session is doing, statistics."""
ZEROS = bytes(1 << 16)
MAPPING = re.compile(
    r"(?P<begin>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<rights>\S+) (?P<offset>\S+) (?P<device>\S+) (?P<inode>\d+) *"
    r"(?P<name>.*)"
)


@dataclass(frozen=True)
class Mapping:
    """A stretch of a process's memory."""

    begin: int
    end: int
    rights: str
    place: tuple[str, str, str]
    name: str

    @property
    def is_shared(self) -> bool:
        return "s" in self.rights

    @property
    def is_worth_it(self) -> bool:
        """Not what is a program's file as it lies on the disk, and not the kernel's own pages."""
        return "r" in self.rights and ("w" in self.rights or self.is_shared) and not self.name.startswith("[v")


class Memory:
    """What a server holds in memory, at moments that have names."""

    def __init__(self, postmaster: int, folder: Path) -> None:
        self.folder = folder
        self._postmaster = postmaster
        self._refusal: OSError | None = None

    def look(self, name: str) -> None:
        """Write it down as it is now."""
        try:
            dump(self._postmaster, self.folder / name)
        except PermissionError as refusal:
            self._refusal = refusal

    def of(self, name: str) -> Path:
        """Where it was written down; skips the test where nobody was allowed to look."""
        if self._refusal is not None:
            pytest.skip(f"this user may not look into the server's memory: {self._refusal}")
        return self.folder / name


def mappings_of(process: int) -> Iterator[Mapping]:
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        found = MAPPING.match(line)
        assert found is not None, line
        place = (found["device"], found["inode"], found["offset"])
        yield Mapping(int(found["begin"], 16), int(found["end"], 16), found["rights"], place, found["name"])


def children_of(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def title_of(process: int) -> str:
    """What a process of Postgres calls itself: `postgres: checkpointer`, `postgres: crm_sync_daemon_1 …`."""
    words = Path(f"/proc/{process}/cmdline").read_bytes().partition(b"\0")[0].decode(errors="replace")
    return words.partition("postgres: ")[2].strip() or "postmaster"


def dump(postmaster: int, folder: Path) -> None:
    """Write the memory of a server's processes, each with what is its own, and what they share once.

    Raises `PermissionError` where this user may not look.
    """
    folder.mkdir()
    seen: set[tuple[str, str, str]] = set()
    with (folder / SHARED).open("wb") as shared:
        for process in (postmaster, *children_of(postmaster)):
            try:
                name, mappings = title_of(process).replace("/", "_")[:99], list(mappings_of(process))
                with (
                    Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory,
                    (folder / f"{name} {process}").open("wb") as own,
                ):
                    for each in mappings:
                        if each.is_worth_it and not (each.is_shared and each.place in seen):
                            _copy(memory.fileno(), each, shared if each.is_shared else own)
                    seen |= {each.place for each in mappings if each.is_shared}
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile


def _copy(memory: int, mapping: Mapping, to: BinaryIO) -> None:
    at = mapping.begin
    while at < mapping.end:
        try:
            piece = os.pread(memory, min(len(ZEROS), mapping.end - at), at)
        except OSError as error:
            if error.errno == errno.EIO:
                return  # pages that are no more, or a device's
            raise
        if not piece:
            return
        if piece == ZEROS:
            to.seek(len(piece), os.SEEK_CUR)  # a hole: most of what is shared was never used
        else:
            to.write(piece)
        at += len(piece)
    to.truncate()
