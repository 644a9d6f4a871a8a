"""The records of one object type in one portal, with their unique values and what the search index knows of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.hubspot.schema import ObjectType
from sandbox.hubspot.wire import iso


@dataclass(eq=False)
class Record:
    """One CRM record; `versions` are (time, properties or None for archived), oldest first, for the lagging index."""

    id: str
    created: float
    updated: float
    properties: dict[str, str]
    archived: bool = False
    versions: list[tuple[float, dict[str, str] | None]] = field(default_factory=list)

    def remember(self, now: float, lag: float) -> None:
        """Keep this state for the index, and forget states that it has replaced already."""
        self.versions.append((now, None if self.archived else dict(self.properties)))
        while len(self.versions) > 1 and self.versions[1][0] <= now - lag:
            self.versions.pop(0)

    def as_of(self, moment: float) -> dict[str, str] | None:
        """The properties at that moment; None when it did not exist then."""
        return next((state for when, state in reversed(self.versions) if when <= moment), None)

    def document(
        self, asked: Iterable[str], *, unset_as_null: bool = False, state: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """The record as the objects API answers it, with those of the asked properties that are set."""
        held = self.properties if state is None else state
        properties: dict[str, str | None] = {name: held[name] for name in asked if name in held}
        if unset_as_null:
            properties.update({name: None for name in asked if name not in held})
        return {
            "id": self.id,
            "properties": properties,
            "createdAt": iso(self.created),
            "updatedAt": iso(self.updated),
            "archived": self.archived,
        }


class Store:
    """All records of one object type; archived ones stay, but are found by id only when asked for."""

    def __init__(self, object_type: ObjectType) -> None:
        self.object_type = object_type
        self.definitions = dict(object_type.properties)
        self.hidden: set[str] = set()
        """Ids of records that the connection may not see, as those of another team."""
        self._records: dict[str, Record] = {}
        self._unique: dict[str, dict[str, Record]] = {
            each.name: {} for each in self.definitions.values() if each.unique
        }

    def __iter__(self) -> Iterator[Record]:
        return (record for record in self._records.values() if not record.archived)

    def everything(self) -> Iterator[Record]:
        """All records, archived ones too."""
        return iter(self._records.values())

    def get(self, record_id: str) -> Record | None:
        """The record of this id, unless it is archived."""
        record = self._records.get(record_id)
        return None if record is None or record.archived else record

    def get_archived(self, record_id: str) -> Record | None:
        record = self._records.get(record_id)
        return record if record is not None and record.archived else None

    def find(self, name: str, value: str) -> Record | None:
        """The record that holds this value of a unique property."""
        if name == "hs_object_id":
            return self.get(value)
        return self._unique[name].get(self.key(name, value))

    def seen(self, name: str, value: str) -> Record | None:
        """As `find`, of the records that the connection may see."""
        record = self.find(name, value)
        return None if record is None or record.id in self.hidden else record

    def is_unique(self, name: str) -> bool:
        return name in self._unique

    def make_unique(self, name: str) -> None:
        """A property just defined as unique."""
        self._unique[name] = {}

    @staticmethod
    def key(name: str, value: str) -> str:
        """How a unique value is compared: e-mail addresses without regard to case."""
        return value.lower() if name == "email" else value

    def add(self, record: Record) -> None:
        self._records[record.id] = record

    def write(self, record: Record, changes: dict[str, str | None]) -> dict[str, str | None]:
        """Set (or with None clear) properties; returns what really changed."""
        changed: dict[str, str | None] = {}
        for name, value in changes.items():
            before = record.properties.get(name)
            if before == value:
                continue
            changed[name] = value
            index = self._unique.get(name)
            if index is not None and before is not None:
                index.pop(self.key(name, before), None)
            if value is None:
                del record.properties[name]
            else:
                record.properties[name] = value
                if index is not None:
                    index[self.key(name, value)] = record
        return changed

    def purge(self, record: Record) -> None:
        """Delete a record for good: not even as an archived one is it there any more."""
        self.archive(record)
        del self._records[record.id]

    def archive(self, record: Record) -> None:
        """Archive a record; its unique values are free again."""
        record.archived = True
        for name, index in self._unique.items():
            if (value := record.properties.get(name)) is not None:
                index.pop(self.key(name, value), None)
