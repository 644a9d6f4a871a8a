"""What an org's database holds: objects, their records, and changes that are taken back or kept."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from typing import Any

from sandbox.salesforce.ids import new_id
from sandbox.salesforce.records import Record, Table, Undo
from sandbox.salesforce.standard import standard_objects
from sandbox.salesforce.values import moment


class Database:
    """The records of one org, by their objects; whoever uses it holds the org's lock.

    Attributes:
        objects: what objects and fields there are.
        tables: the records of each object.
        cursors: rows of long answers that nobody has fetched yet.
        journal: every effect, in order.
    """

    def __init__(self, number: int, clock: Callable[[], float]) -> None:
        self.number = number
        self.clock = clock
        self.objects = standard_objects()
        self.tables = {each: Table(definition) for each, definition in self.objects.items()}
        self.cursors: dict[str, list[dict[str, Any]]] = {}
        self.journal: list[dict[str, Any]] = []
        self._undo: list[Undo] = []
        self._ids = itertools.count(1)

    def document(self, record: Record) -> dict[str, Any]:
        """What is set in a record, the id left out; fields that do not exist (any more) do not show."""
        fields = self.objects[record.sobject].fields
        return {name: value for name, value in record.values.items() if name in fields}

    def new_id(self, sobject: str) -> str:
        return new_id(self.objects[sobject].prefix, self.number, next(self._ids))

    def find(self, record_id: str) -> Record | None:
        """A record of whichever type, deleted ones too."""
        return next((found for table in self.tables.values() if (found := table.get(record_id))), None)

    def keep(self, undo: Undo) -> None:
        """Remember how to take a change back."""
        self._undo.append(undo)

    def savepoint(self) -> tuple[int, int]:
        return len(self._undo), len(self.journal)

    def roll_back(self, point: tuple[int, int]) -> None:
        """Take back everything since a savepoint: it never happened."""
        while len(self._undo) > point[0]:
            self._undo.pop()()
        del self.journal[point[1] :]

    def commit(self) -> None:
        """What happened can no longer be taken back."""
        self._undo.clear()

    def note_effect(self, effect: str, record: Record, by: str, fields: dict[str, Any]) -> None:
        """Add to the journal of effects."""
        self.journal.append(
            {
                "at": moment(self.clock()),
                "effect": effect,
                "object_type": record.sobject,
                "id": record.id,
                "by": by,
                "fields": fields,
            }
        )

    def cursor(self, rows: list[dict[str, Any]]) -> str:
        """Keep the rows of a long answer; the locator under which the rest is fetched."""
        locator = f"01g{secrets.token_hex(6)}AAA"
        self.cursors[locator] = rows
        return locator

    def stamps(self, user_id: str) -> dict[str, Any]:
        """The system fields of a record that is made now."""
        now = moment(self.clock())
        return {
            "CreatedDate": now,
            "CreatedById": user_id,
            "LastModifiedDate": now,
            "LastModifiedById": user_id,
            "SystemModstamp": now,
        }
