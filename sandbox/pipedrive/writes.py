"""Creating, changing and deleting records, and how a record looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sandbox.pipedrive.customs import check_value, texts_of
from sandbox.pipedrive.errors import ApiError, InvalidValueError, MissingReferenceError, invalid, not_allowed
from sandbox.pipedrive.records import Data, Record
from sandbox.pipedrive.schemas import SCHEMAS, complete
from sandbox.pipedrive.wire import iso, unix, v1_time

if TYPE_CHECKING:
    from sandbox.pipedrive.company import Company


class RefusedError(ValueError):
    """Values that are not good; `problems` names each."""

    def __init__(self, problems: list[InvalidValueError]) -> None:
        super().__init__(invalid(problems).error)
        self.problems = problems


class Writer:
    """Writes records of one kind; `by` (api, person) is noted with every effect."""

    def __init__(self, company: Company, kind: str, by: str = "api") -> None:
        self.company = company
        self.kind = kind
        self.by = by
        self.schema = SCHEMAS[kind]
        self.store = company.stores[kind]

    def create(self, members: Mapping[str, Any]) -> Record:
        """A new record; raises RefusedError, and ApiError (403) for members this account does not have."""
        company, now = self.company, self.company.clock()
        checked = self._checked(members, self.schema.required)
        data: Data = {**{name: _copy(value) for name, value in self.schema.initial.items()}, **self._own(), **checked}
        self._complete(None, data, now)
        record = Record(next(company.ids), data, self._created(data, now), now)
        self.store.add(record)
        self._remember(record, now)
        company.note_effect(
            "created",
            kind=self.kind,
            id=record.id,
            by=self.by,
            values={name: data[name] for name in checked if name in data},
        )
        return record

    def update(self, record: Record, changes: Mapping[str, Any]) -> Record:
        """Change the members that are named, lists as a whole; the journal tells what really changed."""
        now = self.company.clock()
        checked = self._checked(changes, ())
        created = self._created(checked, record.created)
        if "custom_fields" in checked:
            checked["custom_fields"] = {**record.data["custom_fields"], **checked["custom_fields"]}
        data = {**record.data, **checked}
        self._complete(record.data, data, now)
        record.created = created
        changed = {name: value for name, value in data.items() if record.data.get(name) != value}
        if changed:
            record.data, record.updated = data, now
            self._remember(record, now)
            self.company.note_effect("updated", kind=self.kind, id=record.id, by=self.by, values=changed)
        return record

    def delete(self, record: Record) -> None:
        """Mark as deleted; what refers to it goes on doing so."""
        now = self.company.clock()
        record.deleted, record.updated = True, now
        record.remember(now, self.company.lag)
        self.company.note_effect("deleted", kind=self.kind, id=record.id, by=self.by)

    def document(self, record: Record) -> dict[str, Any]:
        """The record as v2 answers it (for notes: as v1 does, without the names of what they belong to)."""
        if self.kind == "notes":
            times = {"add_time": v1_time(record.created), "update_time": v1_time(record.updated)}
            return {"id": record.id, **record.data, **times, "active_flag": not record.deleted}
        held: dict[str, Any] = {
            "id": record.id,
            **record.data,
            "add_time": iso(record.created),
            "update_time": iso(record.updated),
            "is_deleted": record.deleted,
        }
        if self.schema.has_customs:
            set_ones = record.data["custom_fields"]
            held["custom_fields"] = {
                each.code: set_ones.get(each.code) for each in self.company.fields[self.kind].customs()
            }
        return held

    def texts(self, data: Data) -> Iterator[tuple[str, str]]:
        """What a search finds of a record: pairs of search field and text."""
        for name in ("name", "title", "content"):
            if name in data:
                yield name, data[name]
        for name, members in (("email", "emails"), ("phone", "phones")):
            yield from ((name, each["value"]) for each in data.get(members, ()))
        if data.get("address"):
            yield "address", data["address"]["value"]
        for field in self.company.fields[self.kind].customs() if self.schema.has_customs else ():
            yield from (("custom_fields", text) for text in texts_of(field, data["custom_fields"].get(field.code)))

    def _own(self) -> Data:
        company = self.company
        if self.kind == "notes":
            return {"user_id": company.me.id, "last_update_user_id": None}
        own: Data = {"owner_id": company.me.id}
        if self.schema.has_customs:
            own["custom_fields"] = {}
        if self.kind == "deals":
            own |= {"creator_user_id": company.me.id, "currency": company.currency}
        elif self.kind == "activities":
            own |= {"creator_user_id": company.me.id, "type": company.activity_types[0].key}
        return own

    @staticmethod
    def _created(checked: Data, otherwise: float) -> float:
        """The time of creation, taken out of the members."""
        given = checked.pop("add_time", otherwise)
        return unix("add_time", given) if isinstance(given, str) else float(given)

    def _complete(self, before: Data | None, after: Data, now: float) -> None:
        try:
            complete(self.company, self.kind, before, after, now)
        except InvalidValueError as error:
            raise RefusedError([error]) from None

    def _remember(self, record: Record, now: float) -> None:
        record.remember(now, self.company.lag)
        self.store.mention(record, (text for _, text in self.texts(record.data)))

    def _checked(self, members: Mapping[str, Any], required: tuple[str, ...]) -> Data:
        forbidden = [name for name in self.schema.forbidden if name in members]
        if forbidden and self.by == "api":
            raise ApiError(
                403, f"{', '.join(forbidden)}: only available with contact sync or Campaigns", "ERR_FORBIDDEN"
            )
        problems = [
            InvalidValueError(name, f"Parameter '{name}' is required") for name in required if name not in members
        ]
        checked: Data = {}
        for name, value in members.items():
            try:
                checked[name] = self._checked_member(name, value)
            except InvalidValueError as error:
                problems.append(error)
        if problems:
            raise RefusedError(problems)
        # The time of the last change is the record's own, whatever is said.
        checked.pop("update_time", None)
        return checked

    def _checked_member(self, name: str, value: Any) -> Any:
        if name == "custom_fields" and self.schema.has_customs:
            return self._customs(value)
        member = self.schema.members.get(name)
        if member is None:
            raise not_allowed(name)
        if value is None:
            if not member.nullable:
                raise InvalidValueError(name, "the value must not be null")
            return None
        return member.check(self.company, name, value)

    def _customs(self, given: Any) -> Data:
        if not isinstance(given, dict):
            raise InvalidValueError("custom_fields", "Expected 'object'")
        values: Data = {}
        for code, value in given.items():
            field = self.company.fields[self.kind].custom(code)
            if field is None:
                raise not_allowed(f"custom_fields.{code}")
            values[code] = check_value(self.company, field, value)
        return values


def _copy(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def refusal(error: RefusedError, missing_status: int) -> ApiError:
    """The answer to refused values; references to records that are gone have a status of their own."""
    missing = [each for each in error.problems if isinstance(each, MissingReferenceError)]
    if len(missing) == len(error.problems) and missing_status != 400:
        return ApiError(missing_status, missing[0].message.capitalize(), "ERR_NOT_FOUND")
    return invalid(error.problems)
