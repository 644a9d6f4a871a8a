"""Whom a document is about, as Salesforce's contacts and leads have people, and the record that is to become of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from providers.models import ContactDocument, Fields
from providers.salesforce_errors import KEY
from providers.salesforce_lengths import Lengths, cut
from providers.salesforce_rows import Record

EMAIL = "Email"
ACCOUNT_ID = "AccountId"
IS_CONVERTED = "IsConverted"
CONVERTED_TO = "ConvertedContactId"
IS_PERSON_ACCOUNT = "IsPersonAccount"
MADE_AT = "CreatedDate"
OWN: Mapping[str, tuple[str, ...]] = {
    "Contact": (KEY, EMAIL, MADE_AT, ACCOUNT_ID),
    "Lead": (KEY, EMAIL, MADE_AT, IS_CONVERTED, CONVERTED_TO),
}
"""What is read of each record, whatever is mapped."""
OF_BOTH = frozenset(
    (
        *("FirstName", "LastName", "MiddleName", "Salutation", "Suffix", "Title", EMAIL, "Phone", "MobilePhone", "Fax"),
        *("Description", "LeadSource", "DoNotCall", "HasOptedOutOfEmail", "HasOptedOutOfFax"),
    )
)
"""The fields that contacts and leads share."""


@dataclass(frozen=True)
class Person:
    """A document on its way to one object.

    Attributes:
        fields: those of the document that this object has.
        external_id: the record's id, if it is known.
        remark: what a human should know of how the record was found, or of a value that had to be cut.
    """

    document: ContactDocument
    fields: Fields
    external_id: str | None
    remark: str | None = None

    @classmethod
    def of(
        cls,
        document: ContactDocument,
        object_name: str,
        external_id: str | None,
        *,
        lengths: Lengths,
        remark: str | None = None,
    ) -> Person:
        """A document made for the other object keeps the fields that both have; names too long for it are cut."""
        is_own = document.record == object_name.lower()
        fields = dict(document.fields if is_own else {k: v for k, v in document.fields.items() if k in OF_BOTH})
        remarks = [remark]
        for name, field in fields.items():
            value, word = cut(object_name, name, field.value, lengths)
            if word is not None:
                fields[name] = field._replace(value=value)
                remarks.append(word)
        return cls(document, fields, external_id, joined(*remarks))

    @property
    def key(self) -> str:
        return str(self.document.contact_id)

    def remarked(self, remark: str | None) -> Person:
        """The same, with one more remark, if there is one."""
        return replace(self, remark=joined(self.remark, remark))


@dataclass(frozen=True)
class Target:
    """One record, there or to be made, with all that is to become of it."""

    people: tuple[Person, ...]
    record: Record | None = None

    @property
    def key(self) -> str:
        return self.people[0].key

    @property
    def documents(self) -> tuple[ContactDocument, ...]:
        return tuple(person.document for person in self.people)


def joined(*remarks: str | None) -> str | None:
    """Several remarks as one; None for none."""
    return "; ".join(filter(None, remarks)) or None
