"""Whether somebody's output goes straight to systemd's journal, and how a line tells it how grave it is."""

from __future__ import annotations

import os
from typing import TextIO

from listener.settings import journal_stream

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Of syslog, by the names of our levels."""


def is_journal(stream: TextIO) -> bool:
    """Whether the journal reads this very stream: JOURNAL_STREAM names its device and inode.

    A daemon whose output was redirected, or a child of one, inherits the variable and must not believe it.
    """
    named = journal_stream()
    if named is None:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


def prefixed(level: str, line: str) -> str:
    """The line as the journal takes it with `SyslogLevelPrefix=yes`, systemd's default."""
    return f"<{PRIORITIES.get(level, 6)}>{line}"


def visible(text: str) -> str:
    """The text without what steers a terminal or turns its direction: some of it are a stranger's words."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in text)
