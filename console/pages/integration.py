"""One connection's settings: forms, and the documents themselves for experts. The database says what makes sense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console import queries_integrations as queries
from console.context import console_of, signed_in
from console.db import Row, Session
from console.forms import filters, mappings, settings
from console.forms.crm import Crm
from console.forms.inputs import Inputs, inputs_of
from console.pages.integrations import Done, card_of, id_of, with_notice
from console.pages.standing import of as standing_of
from listener.errors import InvalidSettings, NotYours

SAVED = {
    "settings": "The settings are saved: the next batch follows them.",
    "mappings": "The mappings are saved: the next batch follows them.",
    "filters": "The filters are saved, for replies that come from now on.",
    "documents": "All of it is saved: the next batch follows it.",
}
DOCUMENTS = ("sync_settings", "field_mappings", "sync_filters")
MEANWHILE = (
    "Somebody has changed this meanwhile, and nothing was saved. What you have put in is still here: save it again to "
    "replace theirs, or load the page again to see it."
)


@dataclass(frozen=True)
class Problem:
    """Why a form was not saved: words and a hint, and the inputs that they name."""

    words: str
    hint: str = ""
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, error: InvalidSettings) -> Problem:
        words, _, hint = str(error).partition("\n")
        document, _, rest = words.partition(": ")
        if document not in DOCUMENTS:
            rest = words
        name = rest.split(" ", 1)[0].rstrip(":")
        return cls(rest, hint, frozenset({name}))


@dataclass
class Page:
    """What the templates of this page need; each form's own part is made where it is shown."""

    row: Row
    crm: Crm
    our_fields: Mapping[str, list[str]]
    card: Row
    problems: list[str]
    open_form: str = ""
    problem: Problem | None = None
    given: Inputs = field(default_factory=dict)
    focus: str = ""
    rows: Mapping[str, list[dict[str, str]]] | None = None

    def context(self, form: str | None = None) -> dict[str, Any]:
        """Of the whole page, or of one form."""
        every = {
            "settings": self._settings,
            "mappings": self._mappings,
            "filters": self._filters,
            "documents": self._documents,
        }
        parts: dict[str, Any] = {
            "row": self.row,
            "card": self.card,
            "problems": self.problems,
            "standing": standing_of,
            "focus": self.focus,
            "failed": self.open_form,
        }
        for name, part in every.items():
            if form in (None, name):
                parts.update(part(name == self.open_form))
                parts[f"{name}_problem"] = self.problem if name == self.open_form else None
        return parts

    def _settings(self, is_given: bool) -> dict[str, Any]:
        row = self.row
        form = settings.inputs_for(row["sync_settings"], row["sync_frequency"], row["field_mappings"], self.crm)
        if is_given and self.problem:
            self.problem = replace(self.problem, words=settings.in_words(self.problem.words, form))
        return {"inputs": settings.shown(self.given, form) if is_given else form}

    def _mappings(self, is_given: bool) -> dict[str, Any]:
        rows = self.rows if is_given and self.rows is not None else mappings.rows_for(self.row["field_mappings"])
        words = self.problem.words if is_given and self.problem else None
        return {
            "tables": mappings.tables(rows, self.crm, self.our_fields, words),
            "policies": mappings.POLICIES,
            "is_described": bool(self.crm.fields),
        }

    def _filters(self, is_given: bool) -> dict[str, Any]:
        rows = self.rows if is_given and self.rows is not None else filters.rows_for(self.row["sync_filters"])
        return {
            "conditions": rows,
            "groups": filters.GROUPS,
            "operators": filters.OPERATORS,
            "facts": filters.fields_for(self.our_fields.get("company", [])),
        }

    def _documents(self, is_given: bool) -> dict[str, Any]:
        texts = {
            name: self.given.get(name, "") if is_given else json.dumps(self.row[name], ensure_ascii=False, indent=2)
            for name in DOCUMENTS
        }
        return {"documents": texts}


async def show(request: Request) -> Response:
    """The page."""
    console, identity, number = console_of(request), await signed_in(request), id_of(request)
    async with console.members.asked_by(identity) as session:
        page = await _page(session, number)
    saved = SAVED.get(request.query_params.get("saved", ""))
    return console.render(request, "integration.html", active="/integrations", saved=saved, **page.context())


async def save_settings(request: Request) -> Response:
    async def save(session: Session, page: Page) -> bool:
        new = settings.settings_from(page.given, page.row["sync_settings"], page.crm)
        frequency = page.given.get("sync_frequency", "")
        if frequency not in {each.value for each in settings.FREQUENCIES}:
            raise InvalidSettings("sync_frequency is realtime, hourly or daily", "Nothing was saved.")
        return await queries.save_settings(session, page.row["id"], new, frequency, page.given.get("seen", ""))

    return await _save(request, "settings", save)


async def save_mappings(request: Request) -> Response:
    async def save(session: Session, page: Page) -> bool:
        rows = mappings.rows_from(page.given)
        page.rows = rows
        added = mappings.add_row(rows, page.given, page.crm)
        if added is not None:
            page.focus = f"{added[0]}.{added[1]}.from"
        if added is not None or "do.remove" in page.given or "do.redraw" in page.given:
            raise _OnlyShown
        new = mappings.mappings_from(rows, page.row["field_mappings"])
        return await queries.save_mappings(session, page.row["id"], new, page.given.get("seen", ""))

    return await _save(request, "mappings", save)


async def save_filters(request: Request) -> Response:
    async def save(session: Session, page: Page) -> bool:
        rows = filters.rows_from(page.given)
        page.rows = rows
        added = filters.add_row(rows, page.given)
        if added is not None:
            page.focus = f"{added[0]}.{added[1]}.field"
        if added is not None or "do.remove" in page.given or "do.redraw" in page.given:
            raise _OnlyShown
        return await queries.save_filters(
            session, page.row["id"], filters.filters_from(rows), page.given.get("seen", "")
        )

    return await _save(request, "filters", save)


async def save_documents(request: Request) -> Response:
    async def save(session: Session, page: Page) -> bool:
        documents = {}
        for name in DOCUMENTS:
            try:
                documents[name] = json.loads(page.given.get(name, ""))
            except (ValueError, RecursionError) as error:
                where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
                raise InvalidSettings(f"{name}: this is not JSON{where}", "Nothing was saved.") from None
            if not isinstance(documents[name], dict):
                raise InvalidSettings(f"{name}: this must be an object, {{…}}", "Nothing was saved.")
        seen = page.given.get("seen", "").split(",")
        return len(seen) == len(DOCUMENTS) and await queries.save_documents(
            session, page.row["id"], documents, (seen[0], seen[1], seen[2])
        )

    return await _save(request, "documents", save)


class _OnlyShown(Exception):
    """The form is shown again with what was put in; nothing is to be saved."""


async def _save(request: Request, form: str, save: Any) -> Response:
    """Save a form, and show it again: as it is stored then, or with the input and what is wrong with it."""
    console, identity, number = console_of(request), await signed_in(request), id_of(request)
    given = inputs_of(await request.body())
    async with console.members.asked_by(identity) as session:
        page = await _page(session, number)
    page.given, page.open_form = given, form
    is_part, status = "hx-request" in request.headers, 200
    try:
        async with console.members.asked_by(identity) as session:
            if not await save(session, page):
                page.problem, status = Problem(MEANWHILE), 409 if not is_part else 422
    except _OnlyShown:
        pass
    except InvalidSettings as error:
        page.problem, status = Problem.of(error), 422
    else:
        if page.problem is None:
            if not is_part:
                return RedirectResponse(console.url(f"/integrations/{number}?saved={form}#{form}"), 303)
            async with console.members.asked_by(identity) as session:
                page = await _page(session, number)
            response = console.render(request, f"_form_{form}.html", **page.context(form))
            return with_notice(response, Done(SAVED[form]))
    if is_part:
        return console.render(request, f"_form_{form}.html", status=status, **page.context(form))
    return console.render(
        request, "integration.html", status=status, active="/integrations", saved=None, **page.context()
    )


async def _page(session: Session, number: int) -> Page:
    """Raises `NotYours`."""
    row = await queries.connection(session, number)
    if row is None:
        raise NotYours("there is no such connection, or it is not yours")
    return Page(
        row=row,
        crm=Crm(await queries.crm_fields(session, number), row["config"]),
        our_fields=await queries.our_fields(session),
        card=await card_of(session, number),
        problems=await queries.mapping_problems(session, number),
    )
