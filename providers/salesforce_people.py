"""Contacts and leads: found first, so that the values people set in Salesforce win, then written in collections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from providers.errors import ProviderError
from providers.models import ContactDocument, Fields, Policy
from providers.salesforce_accounts import Accounts
from providers.salesforce_errors import CONVERTED, KEY, is_gone
from providers.salesforce_rows import CONTACT, LEAD, Found, Record, Row, Written, is_same, text_of, typed
from providers.salesforce_schema import Facts, Schema
from providers.salesforce_soql import Term
from providers.salesforce_wire import Wire

EMAIL = "Email"
ACCOUNT_ID = "AccountId"
IS_CONVERTED = "IsConverted"
CONVERTED_TO = "ConvertedContactId"
OWN: Mapping[str, tuple[str, ...]] = {
    "Contact": (KEY, EMAIL, ACCOUNT_ID),
    "Lead": (KEY, EMAIL, IS_CONVERTED, CONVERTED_TO),
}
OF_BOTH = frozenset(
    (
        *("FirstName", "LastName", "MiddleName", "Salutation", "Suffix", "Title", EMAIL, "Phone", "MobilePhone", "Fax"),
        *("Description", "LeadSource", "DoNotCall", "HasOptedOutOfEmail", "HasOptedOutOfFax"),
    )
)
"""The fields that contacts and leads share."""
OLDEST_FIRST = "ORDER BY CreatedDate, Id"


@dataclass(frozen=True)
class Person:
    """A document on its way to one object.

    Attributes:
        fields: those of the document that this object has.
        external_id: the record's id, if it is known.
    """

    document: ContactDocument
    fields: Fields
    external_id: str | None

    @classmethod
    def of(cls, document: ContactDocument, object_name: str, external_id: str | None) -> Person:
        """A document made for the other object keeps the fields that both have."""
        is_own = document.record == object_name.lower()
        fields = document.fields if is_own else {k: v for k, v in document.fields.items() if k in OF_BOTH}
        return cls(document, fields, external_id)

    @property
    def key(self) -> str:
        return str(self.document.contact_id)


@dataclass(frozen=True)
class Target:
    """One record, there or to be made, with all that is to become of it.

    Attributes:
        remark: what a human should know of how it was found.
    """

    people: tuple[Person, ...]
    record: Record | None = None
    remark: str | None = None

    @property
    def key(self) -> str:
        return self.people[0].key

    @property
    def documents(self) -> tuple[ContactDocument, ...]:
        return tuple(person.document for person in self.people)


class People:
    """One push of documents to contacts, or to leads; leads that turn out to be converted are left in `converted`."""

    def __init__(self, wire: Wire, object_name: Literal["Contact", "Lead"], facts: Facts, accounts: Accounts) -> None:
        self._wire = wire
        self._report = wire.report
        self._object = object_name
        self._types = facts.types_of(object_name)
        self._accounts = accounts
        self.converted: list[tuple[ContactDocument, str | None]] = []

    async def push(self, people: Sequence[Person]) -> None:
        """Accounts, look-ups, updates, upserts; once more for records that were deleted or converted meanwhile."""
        again = await self._carry(people, is_again=False)
        if again:
            await self._carry(again, is_again=True)

    async def _carry(self, people: Sequence[Person], *, is_again: bool) -> list[Person]:
        if self._object == "Contact":
            await self._accounts.ensure([person.document for person in people], is_again=is_again)
        targets = await self._find([person for person in people if self._is_open(person)])
        updates: dict[str, tuple[Row, Target]] = {}
        upserts: dict[str, tuple[Row, Target]] = {}
        for target in targets:
            values = self._values(target)
            if target.record is not None and not values:
                self._synced(target, Written(target.record.id))
            elif target.record is not None and target.record.key != target.key:
                updates[target.record.id] = Row(target.record.id, values, target.documents), target
            else:
                upserts[target.key] = Row(target.key, values, target.documents), target
        again = await self._write("update", updates, is_again=is_again)
        return again + await self._write("upsert", upserts, is_again=is_again)

    async def _write(
        self, action: Literal["update", "upsert"], rows: Mapping[str, tuple[Row, Target]], *, is_again: bool
    ) -> list[Person]:
        """Write the rows; returns those for whom another look is needed, unless this is it."""
        again: list[Person] = []
        async for row, result in self._wire.write(self._object, action, [row for row, _ in rows.values()]):
            target = rows[row.key][1]
            if isinstance(result, Written):
                self._synced(target, result)
            elif not is_again and self._deserves_a_look(target, result):
                again += target.people
            else:
                self._fail(target.people, result)
        return again

    def _deserves_a_look(self, target: Target, error: ProviderError) -> bool:
        """Whether the record, or its account, may have been deleted or converted since it was read or linked."""
        if error.code == CONVERTED or is_gone(error):
            return True
        # an upsert of a few fields found nothing to update
        return target.record is not None and error.code == "REQUIRED_FIELD_MISSING"

    async def _find(self, people: Sequence[Person]) -> list[Target]:
        """Each person's record: by the known id, else by our key, else by e-mail; who shares an address shares the record."""
        fields = {*OWN[self._object], *(name for person in people for name in person.fields)}
        by_id = await self._known(people, fields)
        rest = [person for person in people if person.external_id not in by_id and self._is_open(person)]
        found = await self._look(rest, fields)
        records: dict[str, Record] = {record.id: record for record in (*by_id.values(), *found.records)}
        by_key: dict[str, Record] = {}
        by_email: dict[str, list[Record]] = defaultdict(list)
        for record in found.records:
            if record.key is not None:
                by_key[record.key.casefold()] = record
            if not self._is_converted(record):
                by_email[(record.text(EMAIL) or "").casefold()].append(record)
        shared: dict[str, list[Person]] = defaultdict(list)
        remarks: dict[str, str] = {}
        for person in (person for person in people if self._is_open(person)):
            held = by_id.get(person.external_id or "") or by_key.get(person.key)
            if held is None and (same := by_email.get(person.document.email.casefold())):
                # one address is one record: nobody's yet, else the one that another contact of ours has
                held = min(same, key=lambda record: record.key is not None)
                if others := ", ".join(record.id for record in same if record.id != held.id):
                    remarks[held.id] = f"Salesforce has several records of this address: {held.id}, not {others}"
            if held is not None and self._is_converted(held):
                self.converted.append((person.document, held.text(CONVERTED_TO)))
            else:
                shared[held.id if held is not None else f"new {person.document.email.casefold()}"].append(person)
        return [Target(tuple(each), records.get(name), remarks.get(name)) for name, each in shared.items()]

    async def _known(self, people: Sequence[Person], fields: set[str]) -> dict[str, Record]:
        """The records whose ids are known; those whose read was refused are failed, since they may be there."""
        while True:
            wanted = [person for person in people if person.external_id is not None and self._is_open(person)]
            found = await self._wire.retrieve(self._object, [person.external_id or "" for person in wanted], fields)
            if not self._without_unknown_field(found, people, fields):
                break
        for person in wanted:
            if (error := found.refused.get(person.external_id or "")) is not None:
                self._fail([person], error)
        return {record.id: record for record in found.records}

    async def _look(self, people: Sequence[Person], fields: set[str]) -> Found:
        """What carries our keys, and what has these addresses; oldest first."""
        while True:
            terms: list[Term] = [
                {KEY: person.key, EMAIL: person.document.email} for person in people if self._is_open(person)
            ]
            found = await self._wire.query(self._object, fields, terms, also=OLDEST_FIRST)
            if not self._without_unknown_field(found, people, fields):
                break
        for person in people:
            if (error := found.refused.get(person.key)) is not None:
                self._fail([person], error)
        return found

    def _without_unknown_field(self, found: Found, people: Sequence[Person], fields: set[str]) -> bool:
        """Whether a read was refused for a field that is mapped and not there: it fails those who set it."""
        error = next((each for each in found.refused.values() if each.code == "INVALID_FIELD"), None)
        if error is None or error.field not in fields or error.field in OWN[self._object]:
            return False
        fields.discard(error.field)
        self._fail([person for person in people if error.field in person.fields], error)
        return True

    def _values(self, target: Target) -> dict[str, Any]:
        """What these people's documents, in their order, change in one record: only what their policies allow."""
        held = dict(target.record.values) if target.record is not None else {}
        owner = text_of(held.get(KEY))
        values: dict[str, Any] = {}
        for person in target.people:
            is_known = target.record is not None and person.external_id == target.record.id
            # Written by a push whose answer was lost: its values are ours, not a person's.
            is_ours = owner == person.key and person.external_id is None
            # What we have not changed since it was last sent is the CRM's people's to change.
            fields = {} if person.document.unchanged and is_known else person.fields
            for name, field in fields.items():
                if not field.value or is_same(name, field.value, held.get(name), self._types):
                    continue
                if field.may_replace(text_of(held.get(name))) or (is_ours and field.policy is Policy.IF_BLANK):
                    values[name] = held[name] = typed(name, field.value, self._types)
            values |= self._link(person.document, held)
        if target.record is not None and owner is None:
            values[KEY] = target.key
        return values

    def _link(self, document: ContactDocument, held: dict[str, Any]) -> Mapping[str, Any]:
        """The contact's account, where it has none or still the one that we gave it last."""
        account_id = self._accounts.id_of(document) if self._object == "Contact" else None
        theirs = text_of(held.get(ACCOUNT_ID))
        if account_id is None or theirs == account_id or (theirs is not None and theirs != document.linked_company_id):
            return {}
        held[ACCOUNT_ID] = account_id
        return self._accounts.link_to(document)

    @staticmethod
    def _is_converted(record: Record) -> bool:
        return record.values.get(IS_CONVERTED) is True

    def _synced(self, target: Target, written: Written) -> None:
        for document in target.documents:
            self._report.synced(
                document,
                written.id,
                company_external_id=self._accounts.id_of(document) if self._object == "Contact" else None,
                created=written.is_new,
                takes_deals=self._object == "Contact",
                remark=target.remark,
            )

    def _fail(self, people: Iterable[Person], error: ProviderError) -> None:
        for person in people:
            self._report.failed(person.document, error)

    def _is_open(self, person: Person) -> bool:
        return self._report.is_open(person.document)


async def push_people(wire: Wire, documents: Sequence[ContactDocument], facts: Facts, schema: Schema) -> None:
    """Contacts, then leads, then those leads that people have converted, as the contacts they became."""
    accounts = Accounts(wire, facts)
    leads = [document for document in documents if _is_lead(document)]
    contacts = [document for document in documents if not _is_lead(document)]
    await People(wire, "Contact", facts, accounts).push(
        [Person.of(document, "Contact", document.external_id) for document in contacts]
    )
    if not leads:
        return
    if not facts.lead:
        # the field may have been made since the org was described
        await schema.lead_has_key()
    pushed = People(wire, "Lead", facts, accounts)
    await pushed.push([Person.of(document, "Lead", document.external_id) for document in leads])
    await People(wire, "Contact", facts, accounts).push(
        [Person.of(document, "Contact", contact_id) for document, contact_id in pushed.converted]
    )


def _is_lead(document: ContactDocument) -> bool:
    """What a record is that is known is told by its id."""
    if document.external_id is not None and document.external_id.startswith((LEAD, CONTACT)):
        return document.external_id.startswith(LEAD)
    return document.record == "lead"
