"""What Salesforce says of its objects: whether our fields are there, and which fields mappings can lead to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from providers.account import CrmField, Option
from providers.answers import entries_of
from providers.errors import ProviderError, Unauthorized, Unexpected
from providers.salesforce_errors import KEY, NAME, fields_missing
from providers.salesforce_lengths import LONGEST, Lengths
from providers.salesforce_rows import Types

Ours = Literal["contact", "lead", "company", "deal"]
OBJECTS: Mapping[str, Ours] = {"Account": "company", "Contact": "contact", "Lead": "lead", "Opportunity": "deal"}
NEEDED = ("Account", "Contact", "Opportunity")
TYPES = {
    "boolean": "boolean",
    "int": "number",
    "long": "number",
    "double": "number",
    "currency": "number",
    "percent": "number",
    "date": "date",
    "datetime": "datetime",
    "picklist": "enum",
    "multipicklist": "multi_enum",
    **dict.fromkeys(("string", "textarea", "email", "phone", "url", "combobox", "encryptedstring"), "text"),
}
CONVERTED_TYPES = frozenset({"number", "boolean", "date", "datetime"})
"""Values of these are sent, or compared, as something other than the text that documents have."""
TASK_CHOICES = ("Status", "Priority", "Type", "TaskSubtype")
SYNONYMS_OF_DONE = ("Completed", "Complete", "Done", "Closed")


class Facts(BaseModel):
    """What a push needs to know of an org.

    Attributes:
        lead: leads have our key field.
        task_key: so have tasks, in a form that an upsert can use.
        person_accounts: contacts may be the person of a person account.
        types: by object, the types of the fields that are not text.
        lengths: by object, how many characters the names take that may be cut.
        task: what a task's `Status`, `Priority`, `Type` and `TaskSubtype` may be set to, by the fields' names; a field
            that is missing here cannot be set.
        task_needs: those of them that a new task must have, since the org has no default for them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    lead: bool = False
    task_key: bool = False
    person_accounts: bool = False
    types: dict[str, dict[str, str]] = {}
    lengths: dict[str, dict[str, int]] = {}
    task: dict[str, list[str]] = {}
    task_needs: tuple[str, ...] = ()

    def types_of(self, object_name: str) -> Types:
        return self.types.get(object_name, {})

    def lengths_of(self, object_name: str) -> Lengths:
        return self.lengths.get(object_name, {})

    def choice(self, field: str, *wanted: str) -> str | None:
        """The first of the values wanted that this org has for a field of its tasks."""
        has = {value.casefold(): value for value in self.task.get(field, ())}
        return next((has[each.casefold()] for each in wanted if each.casefold() in has), None)


@dataclass(frozen=True)
class Schema:
    """Asks for descriptions, each a call of its own and large."""

    call: Callable[..., Awaitable[Any]]
    version: str

    async def facts(self) -> Facts:
        """Look for our fields; raises `Unauthorized` with the steps to make them where they are needed and missing."""
        described = {name: await self._fields(name) for name in NEEDED}
        for name, fields in described.items():
            check_key(name, fields)
        described["Lead"] = await self._fields_if_any("Lead")
        task = await self._fields_if_any("Task")
        types = {name: dict(_converted(fields)) for name, fields in described.items()}
        settable = [name for name in TASK_CHOICES if task.get(name, {}).get("createable")]
        return Facts(
            lead=has_key("Lead", described["Lead"]),
            task_key=has_key("Task", task),
            person_accounts="IsPersonAccount" in described["Contact"],
            types={name: each for name, each in types.items() if each},
            lengths={name: dict(_lengths(name, fields)) for name, fields in described.items()},
            task={name: [option.value for option in _options(task[name])] for name in settable},
            task_needs=tuple(name for name in settable if _is_required(task[name])),
        )

    async def lead_has_key(self) -> None:
        """Raises `Unauthorized`, with the steps, as long as leads have no key field."""
        check_key("Lead", await self._fields_if_any("Lead"))

    async def describe(self) -> list[CrmField]:
        """All fields of the objects that mappings lead to."""
        return [
            _crm_field(ours, field)
            for name, ours in OBJECTS.items()
            for field in (await (self._fields(name) if name in NEEDED else self._fields_if_any(name))).values()
            if field.get("name") != KEY
        ]

    async def _fields_if_any(self, object_name: str) -> dict[str, Mapping[str, Any]]:
        """As `_fields`; nothing for an object that this org, or this user, has not."""
        try:
            return await self._fields(object_name)
        except ProviderError as error:
            if error.status == 404 or error.code == "INVALID_TYPE":
                return {}
            raise

    async def _fields(self, object_name: str) -> dict[str, Mapping[str, Any]]:
        try:
            answer = await self.call(
                "GET", f"/services/data/{self.version}/sobjects/{object_name}/describe", limit="core"
            )
        except ProviderError as error:
            if error.status == 404 and object_name in NEEDED:
                raise Unauthorized(
                    f"the user of this Salesforce connection has no access to {object_name}: an administrator has to "
                    f"give it (a permission set with read, create and edit on {object_name}): {error.message}",
                    provider=NAME,
                    status=404,
                    code=error.code,
                    correlation_id=error.correlation_id,
                ) from None
            raise
        fields = answer.get("fields") if isinstance(answer, dict) else None
        if not isinstance(fields, list):
            raise Unexpected(f"Salesforce's description of {object_name} has no fields", provider=NAME)
        return {str(field["name"]): field for field in fields if isinstance(field, Mapping) and field.get("name")}


def has_key(object_name: str, fields: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether records can be found and written by our key."""
    return _fault(object_name, fields) is None


def check_key(object_name: str, fields: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises `Unauthorized`, in words for an administrator, when our field cannot serve."""
    if (fault := _fault(object_name, fields)) is not None:
        raise fields_missing(object_name, fault)


def _fault(object_name: str, fields: Mapping[str, Mapping[str, Any]]) -> str | None:
    field = fields.get(KEY)
    if field is None:
        return f"Salesforce shows this connection no field {KEY} on {object_name}."
    if not (field.get("externalId") or field.get("idLookup")):
        return f"Salesforce's field {KEY} on {object_name} is not marked as External ID."
    # Salesforce makes no custom field of activities unique
    if object_name != "Task" and not field.get("unique"):
        return f"Salesforce's field {KEY} on {object_name} is not marked as Unique."
    if not (field.get("createable") and field.get("updateable")):
        return f"Salesforce does not let this connection write the field {KEY} on {object_name}."
    return None


def _converted(fields: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, field in fields.items():
        kind = TYPES.get(str(field.get("type")), "other")
        if kind in CONVERTED_TYPES and (field.get("createable") or field.get("updateable")):
            yield name, kind


def _lengths(object_name: str, fields: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    for name in LONGEST.get(object_name, {}):
        length = fields.get(name, {}).get("length")
        if isinstance(length, int) and length > 0:
            yield name, length


def _crm_field(ours: Ours, field: Mapping[str, Any]) -> CrmField:
    name = str(field["name"])
    return CrmField(
        object=ours,
        name=name,
        label=str(field.get("label") or name),
        type=TYPES.get(str(field.get("type")), "other"),
        is_writable=bool(field.get("createable") and field.get("updateable")),
        is_required=_is_required(field),
        options=_options(field),
        is_closed=bool(field.get("restrictedPicklist")),
    )


def _is_required(field: Mapping[str, Any]) -> bool:
    """Whether a new record must be given a value."""
    has_default = field.get("defaultedOnCreate") or any(
        isinstance(each, Mapping) and each.get("active") and each.get("defaultValue")
        for each in entries_of(field.get("picklistValues"))
    )
    return bool(field.get("createable") and not field.get("nillable") and not has_default)


def _options(field: Mapping[str, Any]) -> tuple[Option, ...]:
    return tuple(
        Option(value=str(each["value"]), label=str(each.get("label") or each["value"]))
        for each in entries_of(field.get("picklistValues"))
        if isinstance(each, Mapping) and each.get("active") and each.get("value")
    )
