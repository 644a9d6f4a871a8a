"""An org's records, found by id and by the values that records can be named by; every change can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.salesforce.schema import SObject

Undo = Callable[[], None]


@dataclass(eq=False)
class Record:
    """One record; `values` holds what is set, and never None."""

    id: str
    sobject: str
    values: dict[str, Any] = field(default_factory=dict)
    is_deleted: bool = False

    def get(self, name: str) -> Any:
        if name == "Id":
            return self.id
        if name == "IsDeleted":
            return self.is_deleted
        return self.values.get(name)


class Table:
    """All records of one type, deleted ones too, oldest first."""

    def __init__(self, definition: SObject) -> None:
        self.definition = definition
        self._records: dict[str, Record] = {}
        self._indexes: dict[str, dict[str, dict[str, Record]]] = {}

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def live(self) -> Iterator[Record]:
        return (record for record in self._records.values() if not record.is_deleted)

    def get(self, record_id: str) -> Record | None:
        return self._records.get(record_id)

    def is_indexed(self, name: str) -> bool:
        """Whether `where` is cheap for a field."""
        definition = self.definition.fields.get(name)
        return definition is not None and (definition.is_key or definition.unique or definition.type == "reference")

    def where(self, name: str, value: str) -> list[Record]:
        """Records, deleted ones too, whose indexed field has this value in any case."""
        if name == "Id":
            found = self._records.get(value)
            return [found] if found else []
        if name not in self._indexes:
            index: dict[str, dict[str, Record]] = {}
            for record in self._records.values():
                _enter(index, record, record.values.get(name))
            self._indexes[name] = index
        return list(self._indexes[name].get(value.lower(), {}).values())

    def add(self, record: Record) -> Undo:
        self._records[record.id] = record
        for name, index in self._indexes.items():
            _enter(index, record, record.values.get(name))

        def undo() -> None:
            for name, index in self._indexes.items():
                _leave(index, record, record.values.get(name))
            del self._records[record.id]

        return undo

    def set(self, record: Record, values: Mapping[str, Any]) -> Undo:
        """Set values; None clears."""
        before = {name: record.values.get(name) for name in values}
        for name, value in values.items():
            if name in self._indexes:
                _leave(self._indexes[name], record, record.values.get(name))
                _enter(self._indexes[name], record, value)
            if value is None:
                record.values.pop(name, None)
            else:
                record.values[name] = value

        def undo() -> None:
            self.set(record, before)

        return undo

    def delete(self, record: Record) -> Undo:
        record.is_deleted = True

        def undo() -> None:
            record.is_deleted = False

        return undo


def _enter(index: dict[str, dict[str, Record]], record: Record, value: Any) -> None:
    if isinstance(value, str):
        index.setdefault(value.lower(), {})[record.id] = record


def _leave(index: dict[str, dict[str, Record]], record: Record, value: Any) -> None:
    if isinstance(value, str) and value.lower() in index:
        index[value.lower()].pop(record.id, None)
