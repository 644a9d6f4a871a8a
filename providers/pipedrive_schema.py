"""What Pipedrive's account looks like: the fields that hold our keys, its other fields, its pipelines and stages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from providers.errors import Contended, ProviderError, Rejected, Unauthorized, Unexpected
from providers.paging import Pages
from providers.pipedrive_errors import NAME
from providers.pipedrive_values import CUSTOM, Definition

KEY_LABEL = "CRM sync key"
LIST, WRITE = 10, 5


class Caller(Protocol):
    async def __call__(
        self,
        method: str,
        path: str,
        *,
        limit: str,
        cost: int = 1,
        json: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> Any: ...


@dataclass(frozen=True)
class Kind:
    """One of the kinds of record that have a field for our key.

    Attributes:
        object: what mappings call it.
        path: where its records are.
        fields_path: where its fields are.
        fact: under which name `Client.ensure_schema` tells the field of our key.
        search_field: where to search for what tells one from another.
    """

    object: Literal["contact", "company", "deal"]
    path: str
    fields_path: str
    fact: str
    search_field: str


PERSON = Kind("contact", "/api/v2/persons", "/api/v2/personFields", "person_key", "email")
ORGANIZATION = Kind("company", "/api/v2/organizations", "/api/v2/organizationFields", "organization_key", "name")
DEAL = Kind("deal", "/api/v2/deals", "/api/v2/dealFields", "deal_key", "title")
KINDS = (PERSON, ORGANIZATION, DEAL)


class Schema:
    """What is known of one account, for as long as its client lives."""

    def __init__(self, call: Caller) -> None:
        self._call = call
        self._facts: dict[str, str] = {}
        self._told: Mapping[str, Any] = {}
        self._definitions: dict[str, dict[str, Definition]] = {}
        self._looking = asyncio.Lock()

    def key(self, kind: Kind) -> str:
        """The code of the field that holds our key."""
        return self._facts[kind.fact]

    async def know(self, account: Mapping[str, Any]) -> None:
        """Begin a push with what the database kept of the account; looked up where it kept nothing."""
        told = {kind.fact: str(account.get(kind.fact) or "") for kind in KINDS}
        if all(CUSTOM.fullmatch(code) for code in told.values()) and told != self._told:
            self._told = told
            self._facts = dict(told)
        if not self._facts:
            await self.ensure()

    async def ensure(self) -> dict[str, Any]:
        """Make the fields that hold our keys, where the account has none; returns their codes."""
        facts: dict[str, str] = {}
        for kind in KINDS:
            code = await self._find_key(kind)
            if code is None:
                made = await self._make_key(kind)
                # Another daemon may have made one at the same moment: both take the same of the two.
                code = await self._find_key(kind) or made
            if code is None:
                raise Unexpected(f"Pipedrive made no field {KEY_LABEL!r} on {kind.object}", provider=NAME)
            facts[kind.fact] = code
        self._facts = facts
        return dict(facts)

    async def definitions(self, kind: Kind, *needed: str) -> Mapping[str, Definition]:
        """The fields by their codes, read again only if one that is needed is not among those known."""
        async with self._looking:
            known = self._definitions.get(kind.object)
            if known is None or any(name not in known for name in needed):
                known = {each.code: each for each in map(definition_of, await self.fields(kind))}
                self._definitions[kind.object] = known
        return known

    def forget_definitions(self) -> None:
        """Pipedrive refused a value: what is known of its fields may be old."""
        self._definitions.clear()

    async def fields(self, kind: Kind) -> list[dict[str, Any]]:
        """The account's fields for one kind of record, as Pipedrive describes them."""
        return await self.all_of(kind.fields_path)

    async def all_of(self, path: str) -> list[dict[str, Any]]:
        """All entries of one of the account's short lists: fields, pipelines, stages."""
        entries: list[dict[str, Any]] = []
        cursor: str | None = None
        pages = Pages(NAME)
        while True:
            pages.turn_to(cursor)
            params = {"limit": "500"} if cursor is None else {"limit": "500", "cursor": cursor}
            answer = await self._call("GET", path, limit="core", cost=LIST, params=params)
            data = answer.get("data") if isinstance(answer, Mapping) else False
            if not isinstance(data, list | None):
                raise Unexpected(f"Pipedrive's answer of {path} is no list", provider=NAME)
            entries += [entry for entry in data or () if isinstance(entry, dict) and not entry.get("is_deleted")]
            additional = answer.get("additional_data")
            cursor = additional.get("next_cursor") if isinstance(additional, Mapping) else None
            if not cursor:
                return entries

    async def stages(self) -> list[tuple[str, str]]:
        """The stages of all pipelines, (id, label); a label that several pipelines use names its pipeline too."""
        pipelines = dict(await self.pipelines())
        entries = [entry for entry in await self.all_of("/api/v2/stages") if entry.get("id")]
        names = [str(entry.get("name")) for entry in entries]
        stages = []
        for entry, name in zip(entries, names, strict=True):
            pipeline = pipelines.get(str(entry.get("pipeline_id")))
            is_shared = names.count(name) > 1 and pipeline is not None
            stages.append((str(entry["id"]), f"{name} ({pipeline})" if is_shared else name))
        return stages

    async def pipelines(self) -> list[tuple[str, str]]:
        """The pipelines, (id, label)."""
        entries = await self.all_of("/api/v2/pipelines")
        return [(str(entry["id"]), str(entry.get("name"))) for entry in entries if entry.get("id")]

    async def _find_key(self, kind: Kind) -> str | None:
        """The field of that name; of several the one we use already, else the oldest: by id, or else by its place."""
        found = [
            (int(entry.get("id") or 0), definition.code)
            for entry in await self.fields(kind)
            if (definition := definition_of(entry)).label == KEY_LABEL and CUSTOM.fullmatch(definition.code)
        ]
        in_use = self._facts.get(kind.fact)
        return (
            in_use
            if in_use in {code for _, code in found}
            else min(found, key=lambda each: each[0], default=(0, None))[1]
        )

    async def _make_key(self, kind: Kind) -> str | None:
        """The code of the field that was made; a list that is read at once need not have it yet."""
        body = {"field_name": KEY_LABEL, "field_type": "varchar"}
        try:
            answer = await self._call("POST", kind.fields_path, limit="core", cost=WRITE, json=body)
        except (Contended, Rejected) as error:
            if error.status == 423:
                raise
            raise _unmade(kind, error) from None
        data = answer.get("data") if isinstance(answer, Mapping) else None
        code = definition_of(data).code if isinstance(data, Mapping) else ""
        return code if CUSTOM.fullmatch(code) else None


def definition_of(entry: Mapping[str, Any]) -> Definition:
    """A field as v2 describes it, or as v1 does."""
    code = str(entry.get("field_code") or entry.get("key") or "")
    options = entry.get("options")
    return Definition(
        code=code,
        label=str(entry.get("field_name") or entry.get("name") or code),
        type=str(entry.get("field_type") or "varchar"),
        is_custom=CUSTOM.fullmatch(code) is not None,
        options=tuple(
            (str(option["id"]), str(option.get("label")))
            for option in (options if isinstance(options, list) else ())
            if isinstance(option, Mapping) and option.get("id") is not None
        ),
    )


def _unmade(kind: Kind, error: ProviderError) -> Unauthorized:
    return Unauthorized(
        f"Pipedrive does not make the field {KEY_LABEL!r} on {kind.object}; an administrator has to make it, as a text "
        f"field: {error.message}",
        provider=NAME,
        status=error.status,
        code=error.code,
        field=KEY_LABEL,
    )
