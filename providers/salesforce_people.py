"""Contacts and leads: found first, so that the values people set in Salesforce win, then written in collections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from providers.errors import ProviderError
from providers.models import ContactDocument
from providers.salesforce_accounts import Accounts
from providers.salesforce_codes import CONVERTED
from providers.salesforce_errors import KEY, is_gone, unseen
from providers.salesforce_meetings import OLDEST_FIRST, Meeting, chosen, meetings, several
from providers.salesforce_person import (
    ACCOUNT_ID,
    CONVERTED_TO,
    EMAIL,
    IS_CONVERTED,
    IS_PERSON_ACCOUNT,
    MADE_AT,
    OWN,
    Person,
    Target,
    joined,
)
from providers.salesforce_rows import CONTACT, LEAD, Found, Record, Row, Written, is_same, text_of, typed
from providers.salesforce_schema import Facts, Schema
from providers.salesforce_soql import Term
from providers.salesforce_wire import Wire

PERSON_ACCOUNT = "a person account, whose fields Salesforce did not let us write"


class People:
    """One push of documents to contacts, or to leads; those of leads who turn out to be contacts are in `contacts`."""

    def __init__(self, wire: Wire, object_name: Literal["Contact", "Lead"], facts: Facts, accounts: Accounts) -> None:
        self._wire = wire
        self._report = wire.report
        self._object = object_name
        self._types = facts.types_of(object_name)
        self._own = {*OWN[object_name]}
        if object_name == "Contact" and facts.person_accounts:
            self._own.add(IS_PERSON_ACCOUNT)
        self._accounts = accounts
        self.contacts: list[tuple[ContactDocument, Meeting]] = []

    async def push(self, people: Sequence[Person]) -> None:
        """Look-ups, accounts, updates, upserts; once more for records that were deleted or converted meanwhile."""
        again = await self._carry(people, is_again=False)
        if again:
            await self._carry(again, is_again=True)

    async def _carry(self, people: Sequence[Person], *, is_again: bool) -> list[Person]:
        targets = await self._find([person for person in people if self._is_open(person)])
        if self._object == "Contact":
            await self._accounts.ensure(
                [each.document for target in targets for each in target.people if _is_ours_to_link(each, target)],
                is_again=is_again,
            )
        updates: dict[str, tuple[Row, Target]] = {}
        upserts: dict[str, tuple[Row, Target]] = {}
        for found in targets:
            target = replace(found, people=tuple(filter(self._is_open, found.people)))
            if not target.people:
                continue
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
            elif target.record is not None and _is_left_alone(target.record, result):
                self._synced(target, Written(target.record.id), remark=f"{PERSON_ACCOUNT}: {result.message}")
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
        """Each person's record: by the known id, else by our key, else by e-mail; who shares an address shares it."""
        fields = {*self._own, *(name for person in people for name in person.fields)}
        by_id = await self._known(people, fields)
        found = await self._look([person for person in people if person.external_id not in by_id], fields)
        records: dict[str, Record] = {record.id: record for record in (*by_id.values(), *found.records)}
        by_key: dict[str, Record] = {}
        by_email: dict[str, list[Record]] = defaultdict(list)
        became: dict[str, str] = {}
        for record in found.records:
            email = (record.text(EMAIL) or "").casefold()
            if record.key is not None:
                by_key[record.key.casefold()] = record
            if self._is_converted(record):
                became[email] = record.text(CONVERTED_TO) or ""
            else:
                by_email[email].append(record)
        shared: dict[str, list[Person]] = defaultdict(list)
        strangers: list[Person] = []
        for person in filter(self._is_open, people):
            held, known = by_id.get(person.external_id or "") or by_key.get(person.key), person
            if held is None and (same := by_email.get(person.document.email.casefold())):
                held = chosen(same)
                known = person.remarked(several(held, same))
            if held is None and self._object == "Lead":
                strangers.append(person)
            elif held is not None and self._is_converted(held):
                self.contacts.append((person.document, Meeting(held.text(CONVERTED_TO))))
            else:
                shared[held.id if held is not None else _new(person)].append(known)
        for person in await self._who_are_no_contacts(strangers, became):
            shared[_new(person)].append(person)
        return [Target(tuple(each), records.get(name)) for name, each in shared.items()]

    async def _who_are_no_contacts(self, strangers: Sequence[Person], became: Mapping[str, str]) -> list[Person]:
        """Those for whom a lead is to be made; the others are left in `contacts`."""
        met, refused = await meetings(self._wire, strangers, became)
        self.contacts += [(person.document, met[person.key]) for person in strangers if person.key in met]
        for person in strangers:
            if person.key in refused:
                self._fail([person], refused[person.key])
        return [person for person in strangers if person.key not in met and self._is_open(person)]

    async def _known(self, people: Sequence[Person], fields: set[str]) -> dict[str, Record]:
        """By the known ids their records, or those that they were merged into.

        Those whose read was refused are failed, since they may be there.
        """
        while True:
            wanted = {person.external_id for person in people if person.external_id and self._is_open(person)}
            found = await self._wire.retrieve(self._object, wanted, fields)
            there = {record.id: record for record in found.records}
            merged = await self._wire.masters(self._object, wanted - set(there) - set(found.refused))
            masters = await self._wire.retrieve(self._object, merged.values(), fields)
            found.refused.update(
                {lost: masters.refused[kept] for lost, kept in merged.items() if kept in masters.refused}
            )
            if not self._without_unknown_field(found, people, fields):
                break
        for person in people:
            if (error := found.refused.get(person.external_id or "")) is not None:
                self._fail([person], error)
        kept = {record.id: record for record in masters.records}
        return there | {lost: kept[kept_id] for lost, kept_id in merged.items() if kept_id in kept}

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
        """Whether a read was refused for a field that is mapped and not there: it fails those who set it.

        Raises `Unauthorized` for a field that no push can do without.
        """
        error = next((each for each in found.refused.values() if each.code == "INVALID_FIELD"), None)
        if error is None or error.field not in fields:
            return False
        if error.field in OWN[self._object]:
            raise unseen(self._object, error)
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
            is_ours = person.external_id is None and person.document.has_made(owner, held.get(MADE_AT))
            # What we have not changed since it was last sent is the CRM's people's to change.
            fields = {} if person.document.unchanged and is_known else person.fields
            for name, field in fields.items():
                if not field.value or is_same(name, field.value, held.get(name), self._types):
                    continue
                if field.may_replace(text_of(held.get(name)), is_ours=is_ours):
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

    def _synced(self, target: Target, written: Written, *, remark: str | None = None) -> None:
        is_contact = self._object == "Contact"
        for person in target.people:
            self._report.synced(
                person.document,
                written.id,
                company_external_id=self._accounts.id_of(person.document) if is_contact else None,
                created=written.is_new,
                takes_deals=is_contact,
                remark=joined(person.remark, self._accounts.remark_of(person.document) if is_contact else None, remark),
            )

    def _fail(self, people: Iterable[Person], error: ProviderError) -> None:
        for person in people:
            self._report.failed(person.document, error)

    def _is_open(self, person: Person) -> bool:
        return self._report.is_open(person.document)


async def push_people(wire: Wire, documents: Sequence[ContactDocument], facts: Facts, schema: Schema) -> None:
    """Contacts, then leads, then those meant for leads who are contacts: met as such, or converted by people."""
    accounts = Accounts(wire, facts)
    as_contacts, as_leads = facts.lengths_of("Contact"), facts.lengths_of("Lead")
    leads = [document for document in documents if _is_lead(document)]
    contacts = [document for document in documents if not _is_lead(document)]
    await People(wire, "Contact", facts, accounts).push(
        [Person.of(document, "Contact", document.external_id, lengths=as_contacts) for document in contacts]
    )
    if not leads:
        return
    if not facts.lead:
        # the field may have been made since the org was described
        await schema.lead_has_key()
    pushed = People(wire, "Lead", facts, accounts)
    await pushed.push([Person.of(document, "Lead", document.external_id, lengths=as_leads) for document in leads])
    await People(wire, "Contact", facts, accounts).push(
        [
            Person.of(document, "Contact", met.contact_id, lengths=as_contacts, remark=met.remark)
            for document, met in pushed.contacts
        ]
    )


def _is_lead(document: ContactDocument) -> bool:
    """What a record is that is known is told by its id."""
    if document.external_id is not None and document.external_id.startswith((LEAD, CONTACT)):
        return document.external_id.startswith(LEAD)
    return document.record == "lead"


def _new(person: Person) -> str:
    """Who has one address becomes one record."""
    return f"new {person.document.email.casefold()}"


def _is_ours_to_link(person: Person, target: Target) -> bool:
    """Whether the contact is in no account yet, or in the one that we put it in: others are people's choice."""
    document, record = person.document, target.record
    theirs = record.text(ACCOUNT_ID) if record is not None else None
    if record is None or theirs is None or theirs == document.linked_company_id:
        return True
    # made by us, before an answer or all that we knew was lost
    return record.key == person.key and person.external_id is None


def _is_left_alone(record: Record, error: ProviderError) -> bool:
    """Whether it is a person account's own contact that Salesforce does not let us write: it is there all the same."""
    is_fields = error.code in ("INVALID_FIELD_FOR_INSERT_UPDATE", "INSUFFICIENT_ACCESS_OR_READONLY")
    return is_fields and record.values.get(IS_PERSON_ACCOUNT) is True
