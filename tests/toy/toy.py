"""The toy CRM: everything is put under a key of ours, so that a replay finds what it left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import httpx

from providers import base
from providers.account import AccountFacts, CrmField, Option
from providers.credentials import Credentials
from providers.errors import (
    CONTACT_GONE,
    Contended,
    ProviderError,
    RateLimited,
    Rejected,
    Stopping,
    Unauthorized,
    Unavailable,
    Unexpected,
)
from providers.models import ActivityDocument, AnyDocument, Batch, Company, ContactDocument, DealDocument, TaskDocument
from providers.notes import note_text, task_text
from providers.ratelimit import retry_after
from providers.report import Report

NAME = "toy"
LONGEST_TEXT = 5_000
WAIT_SECONDS = 2.0
KINDS = {"people": "contact", "firms": "company", "chances": "deal"}


class Client(base.Client):
    """One account of the toy CRM."""

    name: ClassVar[str] = NAME

    async def ensure_schema(self) -> dict[str, Any]:
        """The toy keeps keys of its own accord."""
        return {}

    async def describe(self) -> list[CrmField]:
        answer = await self.call("GET", "/v1/fields", limit="core")
        return [
            CrmField(
                object=KINDS[row["kind"]],
                name=row["name"],
                label=row["label"],
                type="enum" if row["options"] else "text",
                options=tuple(Option(value=value, label=value) for value in row["options"]),
                is_closed=bool(row["options"]),
            )
            for row in answer["rows"]
        ]

    async def identify(self) -> AccountFacts:
        me = await self.call("GET", "/v1/me", limit="core")
        return AccountFacts(id=str(me["id"]), name=me["name"], url=self.config.api_base_url)

    async def push(self, batch: Batch, report: Report) -> None:
        contacts = await self._put_firms(batch.contacts, report)
        await self._put_people(contacts, report)
        await self._put("chances", [(each, self._chance(each, report)) for each in batch.deals], report)
        await self._put("entries", [(each, self._entry(each, report)) for each in batch.activities], report)
        await self._put("todos", [(each, self._todo(each, report)) for each in batch.tasks], report)

    def base_url(self, credentials: Credentials) -> str:
        return self.config.api_base_url

    def error_of(self, response: httpx.Response) -> ProviderError:
        try:
            body = response.json()
        except ValueError:
            body = {}
        facts: dict[str, Any] = {"provider": NAME, "status": response.status_code, "field": body.get("field")}
        message = str(body.get("message", "the toy CRM gave no reason"))
        match response.status_code:
            case 401 | 403:
                return Unauthorized(message, **facts)
            case 404 | 422:
                return Rejected(message, **facts)
            case 409:
                return Contended(message, **facts)
            case 423:
                return Contended(message, retry_after=WAIT_SECONDS, **facts)
            case 429:
                return RateLimited(message, retry_after=retry_after(response.headers) or WAIT_SECONDS, **facts)
            case status if status >= 500:
                return Unavailable(message, uncertain=True, **facts)
        return Unexpected(message, **facts)

    async def _put_firms(
        self, contacts: Sequence[ContactDocument], report: Report
    ) -> list[tuple[ContactDocument, str | None]]:
        """Each contact with the id of its company; those whose company was refused are settled."""
        sharing: dict[str, list[ContactDocument]] = {}
        firms: dict[str, Company] = {}
        for document in contacts:
            if document.company is not None:
                firms.setdefault(document.company.key, document.company)
                sharing.setdefault(document.company.key, []).append(document)
        rows = [{"key": key, "begin": firm.fields or {"name": firm.name}} for key, firm in firms.items()]
        ids: dict[str, str] = {}
        for key, answer in zip(firms, await self._carry("firms", rows, contacts, report), strict=True):
            if isinstance(answer, ProviderError):
                for document in sharing[key]:
                    report.failed(document, answer)
            else:
                ids[key] = str(answer["id"])
        return [
            (document, None if document.company is None else ids[document.company.key])
            for document in contacts
            if report.is_open(document)
        ]

    async def _put_people(self, contacts: Sequence[tuple[ContactDocument, str | None]], report: Report) -> None:
        if not contacts:
            return
        keys = [document.email for document, _ in contacts]
        answer = await self.call("POST", "/v1/people/read", limit="core", json={"keys": keys})
        held = {row["key"]: row for row in answer["rows"]}
        rows = [
            {
                "key": document.email,
                "owner": str(document.contact_id),
                "values": _changes(document, held.get(document.email)),
                "links": {"firms": firm} if firm else {},
            }
            for document, firm in contacts
        ]
        documents = [document for document, _ in contacts]
        answers = await self._carry("people", rows, documents, report)
        for (document, firm), given in zip(contacts, answers, strict=True):
            if isinstance(given, ProviderError):
                report.failed(document, given)
            else:
                report.synced(document, given["id"], company_external_id=firm, created=given["created"])

    async def _put(self, kind: str, wanted: Sequence[tuple[AnyDocument, dict[str, Any]]], report: Report) -> None:
        documents = [document for document, _ in wanted]
        answers = await self._carry(kind, [row for _, row in wanted], documents, report)
        for document, answer in zip(documents, answers, strict=True):
            if isinstance(answer, ProviderError):
                report.failed(document, answer)
            else:
                report.synced(document, answer["id"], created=answer["created"])

    async def _carry(
        self, kind: str, rows: Sequence[Mapping[str, Any]], documents: Sequence[AnyDocument], report: Report
    ) -> list[dict[str, Any] | ProviderError]:
        """One answer or refusal for each row, in their order."""
        if not rows:
            return []
        report.sending(documents)
        try:
            answer = await self.call("POST", f"/v1/{kind}/put", limit="core", json={"rows": list(rows)})
        except (Rejected, Contended) as error:
            report.refused(documents)
            return [error] * len(rows)
        except (ProviderError, Stopping) as error:
            if not getattr(error, "uncertain", False):
                report.refused(documents)
            raise
        report.refused(document for document, row in zip(documents, answer["rows"], strict=False) if "error" in row)
        return [_refusal(row["error"]) if "error" in row else row for row in answer["rows"]]

    def _chance(self, document: DealDocument, report: Report) -> dict[str, Any]:
        values = {name: field.value for name, field in document.fields.items()}
        return {"key": document.key, "begin": values, "links": _links(document, report)}

    def _entry(self, document: ActivityDocument, report: Report) -> dict[str, Any]:
        values = {"text": note_text(document, LONGEST_TEXT), "at": document.occurred_at.isoformat()}
        return {"key": document.key, "values": values, "links": _links(document, report)}

    def _todo(self, document: TaskDocument, report: Report) -> dict[str, Any]:
        values = {"text": f"{document.subject}\n{task_text(document, LONGEST_TEXT)}", "at": document.due_at.isoformat()}
        return {"key": document.key, "begin": values, "links": _links(document, report)}


def _changes(document: ContactDocument, held: Mapping[str, Any] | None) -> dict[str, str]:
    known = held["values"] if held else {}
    is_ours = held is not None and document.has_made(held["owner"], held["made_at"])
    return {
        name: field.value
        for name, field in document.fields.items()
        if field.may_replace(known.get(name), is_ours=is_ours)
    }


def _links(document: DealDocument | ActivityDocument | TaskDocument, report: Report) -> dict[str, str]:
    return {"people": report.contact_ids.get(document.contact_id, document.contact_external_id)}


def _refusal(error: Mapping[str, Any]) -> Rejected:
    code = CONTACT_GONE if error.get("code") == "NOBODY" else error.get("code")
    return Rejected(str(error["message"]), provider=NAME, code=code, field=error.get("field"))
