"""The records of one kind in one company, and what the search index knows of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Data = dict[str, Any]


@dataclass(eq=False)
class Record:
    """One record; `versions` are (time, data or None for deleted), oldest first, for the index that is behind."""

    id: int
    data: Data
    created: float
    updated: float
    deleted: bool = False
    versions: list[tuple[float, Data | None]] = field(default_factory=list)

    def remember(self, now: float, lag: float) -> None:
        """Keep this state for the index, and forget states that it has replaced already."""
        self.versions.append((now, None if self.deleted else dict(self.data)))
        while len(self.versions) > 1 and self.versions[1][0] <= now - lag:
            self.versions.pop(0)

    def as_of(self, moment: float) -> Data | None:
        """The data at that moment; None when it did not exist then."""
        return next((data for when, data in reversed(self.versions) if when <= moment), None)


class Store:
    """All records of one kind; deleted ones stay, but are found only when asked for."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._records: dict[int, Record] = {}
        # Texts that records hold or held, in lower case: an exact search looks at these records only.
        self._mentions: defaultdict[str, set[int]] = defaultdict(set)

    def __iter__(self) -> Iterator[Record]:
        return (record for record in self._records.values() if not record.deleted)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def everything(self) -> Iterator[Record]:
        """All records, deleted ones too."""
        return iter(self._records.values())

    def get(self, record_id: object) -> Record | None:
        """The record of this id, unless it is deleted."""
        record = self.find(record_id)
        return None if record is None or record.deleted else record

    def find(self, record_id: object) -> Record | None:
        """The record of this id, deleted or not."""
        return self._records.get(record_id) if isinstance(record_id, int) else None

    def add(self, record: Record) -> None:
        self._records[record.id] = record

    def mention(self, record: Record, texts: Iterator[str]) -> None:
        """Note the texts by which an exact search finds a record."""
        for text in texts:
            self._mentions[text.lower()].add(record.id)

    def mentioning(self, text: str) -> Iterator[Record]:
        """Records that hold, or once held, exactly this text, the oldest first."""
        return (self._records[each] for each in sorted(self._mentions.get(text.lower(), ())))
