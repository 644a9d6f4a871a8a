"""Deals: one for each key, with their person and organization."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from providers.batches import run_each
from providers.errors import CONTACT_GONE, Contended, ProviderError, Rejected
from providers.models import CLOCK_SKEW, AnyDocument, DealDocument
from providers.pipedrive_directory import moment
from providers.pipedrive_errors import NAME, is_about
from providers.pipedrive_schema import DEAL
from providers.pipedrive_values import CUSTOM, canonical, custom_of, id_number, invalid_option, json_of
from providers.pipedrive_wire import WIDTH, Wire

DEFAULT = "default"
STAGE, PIPELINE = "stage_id", "pipeline_id"


class Deals:
    """One push of deal documents."""

    def __init__(self, wire: Wire, documents: Sequence[DealDocument]) -> None:
        self._wire = wire
        self._report = wire.report
        self._by_key: dict[str, list[DealDocument]] = defaultdict(list)
        for document in documents:
            self._by_key[document.key].append(document)
        self._allowed: dict[str, list[tuple[str, str]]] = {}

    async def push(self) -> None:
        """Look for deals of unknown fate, make the others."""
        await self._find_uncertain()
        waiting = [sharing for sharing in self._by_key.values() if any(map(self._report.is_open, sharing))]
        await run_each(waiting, self._carry, WIDTH)

    async def _find_uncertain(self) -> None:
        """By the list of what changed since they were enqueued: accepted as they are, a person may have moved them."""
        doubtful = [each for sharing in self._by_key.values() for each in sharing if each.uncertain]
        if not doubtful:
            return
        queued = [each.queued_at for each in doubtful if each.queued_at is not None]
        params = {"sort_by": "id", "sort_direction": "desc"}
        if len(queued) == len(doubtful):
            params["updated_since"] = moment(min(queued) - CLOCK_SKEW)
        missing = {each.key for each in doubtful}
        async for records, _ in self._wire.pages(DEAL, params):
            for record in records:
                key = canonical(custom_of(record).get(self._wire.schema.key(DEAL)))
                if key in missing:
                    missing.remove(key)
                    self._synced(self._by_key[key], str(record["id"]), created=False)
            if not missing:
                return

    async def _carry(self, sharing: Sequence[DealDocument]) -> None:
        document = sharing[0]
        try:
            body = await self._body(document)
            remark = None
            try:
                record = await self._send(body, sharing)
            except Rejected as error:
                if "org_id" not in body or not is_about(error, "org_id"):
                    raise
                # The deal and its person matter more than an organization that somebody has deleted since.
                del body["org_id"]
                remark = f"Pipedrive refused the deal with organization {document.company_external_id}: it has none"
                record = await self._send(body, sharing)
        except (Rejected, Contended) as error:
            self._wire.schema.forget_definitions()
            refusal = contact_gone(error)
            for each in sharing:
                self._report.failed(each, refusal)
        else:
            self._synced(sharing, str(record["id"]), created=True, remark=remark)

    async def _send(self, body: Mapping[str, Any], documents: Sequence[AnyDocument]) -> Mapping[str, Any]:
        return await self._wire.write("POST", DEAL.path, body, documents, kind=DEAL)

    async def _body(self, document: DealDocument) -> dict[str, Any]:
        names = [name for name in document.fields if CUSTOM.fullmatch(name)]
        definitions = await self._wire.schema.definitions(DEAL, *names) if names else {}
        body: dict[str, Any] = {"title": f"Deal {document.key}"}
        custom: dict[str, Any] = {}
        for name, field in document.fields.items():
            text = field.value.strip()
            if not text or (name in (STAGE, PIPELINE) and text == DEFAULT):
                continue
            if name in (STAGE, PIPELINE) and not text.isdecimal():
                raise invalid_option(name, text, await self._options(name))
            value = json_of(name, text, definitions.get(name))
            (custom if CUSTOM.fullmatch(name) else body)[name] = value
        contact_id = self._report.contact_ids.get(document.contact_id, document.contact_external_id)
        body["person_id"] = id_number(contact_id, "person_id")
        if document.company_external_id is not None:
            body["org_id"] = id_number(document.company_external_id, "org_id")
        return {**body, "custom_fields": {**custom, self._wire.schema.key(DEAL): document.key}}

    async def _options(self, name: str) -> list[tuple[str, str]]:
        if name not in self._allowed:
            schema = self._wire.schema
            self._allowed[name] = await (schema.stages() if name == STAGE else schema.pipelines())
        return self._allowed[name]

    def _synced(
        self, documents: Sequence[DealDocument], record_id: str, *, created: bool, remark: str | None = None
    ) -> None:
        for document in documents:
            self._report.synced(
                document,
                record_id,
                company_external_id=document.company_external_id,
                created=created,
                remark=remark,
            )


def contact_gone(error: ProviderError) -> ProviderError:
    """The same refusal, by the code that says so, where it is about the person; any other as it is."""
    if not is_about(error, "person_id"):
        return error
    return Rejected(
        f"the person is no longer in Pipedrive: {error.message}",
        provider=NAME,
        status=error.status,
        code=CONTACT_GONE,
        field="person_id",
    )
