"""What objects and fields are: an org's description of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

NUMBERS = ("double", "currency", "percent", "int")
TEXTS = ("string", "textarea", "email", "phone", "url", "picklist", "combobox")


@dataclass(frozen=True)
class Option:
    """One value of a picklist."""

    value: str
    label: str = ""
    active: bool = True
    default: bool = False

    def document(self) -> dict[str, Any]:
        return {
            "active": self.active,
            "defaultValue": self.default,
            "label": self.label or self.value,
            "validFor": None,
            "value": self.value,
        }


@dataclass(frozen=True)
class Field:
    """One field of an object.

    Attributes:
        length: the most characters of a text; 0 where there is no such limit.
        default: what a new record gets that does not name the field.
        refers_to: names of the objects that a reference may point to.
        relationship: the name under which the referred record is reached.
    """

    name: str
    type: str = "string"
    label: str = ""
    length: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    external_id: bool = False
    unique: bool = False
    id_lookup: bool = False
    filterable: bool = True
    options: tuple[Option, ...] = ()
    restricted: bool = False
    refers_to: tuple[str, ...] = ()
    relationship: str | None = None
    default: Any = None

    @property
    def is_key(self) -> bool:
        """Whether records can be named by it."""
        return self.external_id or self.id_lookup

    @property
    def is_required(self) -> bool:
        return not self.nillable and self.createable and self.default is None

    @property
    def is_custom(self) -> bool:
        return self.name.endswith("__c")

    def document(self) -> dict[str, Any]:
        """The field as describe answers it."""
        return {
            "calculated": False,
            "caseSensitive": False,
            "createable": self.createable,
            "custom": self.is_custom,
            "defaultedOnCreate": self.default is not None,
            "externalId": self.external_id,
            "filterable": self.filterable,
            "idLookup": self.id_lookup or self.external_id,
            "label": self.label or self.name,
            "length": self.length,
            "name": self.name,
            "nillable": self.nillable,
            "picklistValues": [option.document() for option in self.options],
            "referenceTo": list(self.refers_to),
            "relationshipName": self.relationship,
            "restrictedPicklist": self.restricted,
            "sortable": self.filterable,
            "type": self.type,
            "unique": self.unique,
            "updateable": self.updateable,
        }


@dataclass
class SObject:
    """One type of record; its fields are found by name in any case."""

    name: str
    prefix: str
    label: str
    plural: str
    fields: dict[str, Field] = field(default_factory=dict)
    is_writable: bool = True

    def __post_init__(self) -> None:
        self._by_name = {name.lower(): each for name, each in self.fields.items()}
        self._by_relationship = {each.relationship.lower(): each for each in self.fields.values() if each.relationship}

    def find(self, name: str) -> Field | None:
        return self._by_name.get(name.lower())

    def find_relationship(self, name: str) -> Field | None:
        return self._by_relationship.get(name.lower())

    def put(self, definition: Field) -> None:
        """Add a field, or change what one is."""
        self.fields[definition.name] = definition
        self.__post_init__()

    def change(self, name: str, **changes: Any) -> Field:
        """Change a field that exists; raises KeyError."""
        definition = replace(self.fields[name], **changes)
        self.put(definition)
        return definition

    def copy(self) -> SObject:
        return SObject(self.name, self.prefix, self.label, self.plural, dict(self.fields), self.is_writable)

    def summary(self, version: str) -> dict[str, Any]:
        """The object as the list of all objects has it."""
        base = f"/services/data/v{version}/sobjects/{self.name}"
        return {
            "createable": self.is_writable,
            "custom": False,
            "deletable": self.is_writable,
            "keyPrefix": self.prefix,
            "label": self.label,
            "labelPlural": self.plural,
            "name": self.name,
            "queryable": True,
            "retrieveable": True,
            "searchable": True,
            "updateable": self.is_writable,
            "urls": {
                "describe": f"{base}/describe",
                "rowTemplate": f"{base}/{{ID}}",
                "sobject": base,
            },
        }

    def document(self, version: str) -> dict[str, Any]:
        """The object as its describe answers it."""
        return {**self.summary(version), "fields": [each.document() for each in self.fields.values()]}


def options(values: Iterable[str], default: str | None = None) -> tuple[Option, ...]:
    return tuple(Option(value, default=value == default) for value in values)
