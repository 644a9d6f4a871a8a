"""Answers that leave out what HubSpot's specification calls optional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from providers.errors import ProviderError, Unexpected
from providers.hubspot_pipelines import Pipelines
from providers.hubspot_rows import Pair, Record, Row, joined, record_of
from providers.hubspot_wire import Wire
from providers.models import ContactDocument
from providers.report import Report
from tests.providers.contract import batch_of, contacts_of
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample


def row(number: int, key: str, **properties: str) -> Row:
    document = ContactDocument(rows=(number,), contact_id=UUID(int=number), email=f"p{number}@example.com", fields={})
    return Row(key, properties, (document,))


def join(
    rows: list[Row], *results: dict[str, Any], is_create: bool = True, id_property: str | None = None
) -> dict[str, Record | ProviderError]:
    answer = {"status": "COMPLETE", "results": list(results)}
    return {each.trace: answered for each, answered in joined(rows, answer, id_property, is_create=is_create)}


def test_results_without_trace_ids_are_told_by_the_values_they_repeat() -> None:
    rows = [row(1, "a", hs_note_body="one", hs_timestamp="t"), row(2, "b", hs_note_body="two", hs_timestamp="t")]
    answered = join(
        rows,
        {"id": "52", "properties": {"hs_note_body": "two", "hs_timestamp": "t", "hs_object_id": "52"}},
        {"id": "51", "properties": {"hs_note_body": "one", "hs_timestamp": "t"}},
    )
    assert [getattr(answered[f"row-{number}"], "id", None) for number in (1, 2)] == ["51", "52"]


def test_an_upsert_that_does_not_repeat_its_key_is_told_by_its_other_values() -> None:
    rows = [row(1, "p1@example.com", crm_sync_contact_id="u-1"), row(2, "p2@example.com", crm_sync_contact_id="u-2")]
    answered = join(
        rows,
        {"id": "52", "properties": {"crm_sync_contact_id": "u-2"}},
        {"id": "51", "properties": {"crm_sync_contact_id": "u-1"}},
        is_create=False,
        id_property="email",
    )
    assert [getattr(answered[f"row-{number}"], "id", None) for number in (1, 2)] == ["51", "52"]


@pytest.mark.parametrize(
    "results",
    [
        pytest.param([{"id": "51", "properties": {"hs_note_body": "same"}}], id="two rows fit"),
        pytest.param([{"id": "51", "properties": {"hs_note_body": "else"}}], id="no row fits"),
        pytest.param([{"id": "51", "properties": {}}], id="nothing is repeated"),
        pytest.param([{"id": "51"}], id="there are no properties"),
    ],
)
def test_what_fits_no_row_or_several_is_nobodys(results: list[dict[str, Any]]) -> None:
    answered = join([row(1, "a", hs_note_body="same"), row(2, "b", hs_note_body="same")], *results)
    assert {type(each) for each in answered.values()} == {Unexpected}


def test_the_key_of_a_new_record_is_never_taken_for_an_id_of_hubspots() -> None:
    rows = [row(1, "52", hs_note_body="one"), row(2, "51", hs_note_body="two")]
    answered = join(
        rows,
        {"id": "51", "properties": {"hs_note_body": "one"}},
        {"id": "52", "properties": {"hs_note_body": "two"}},
    )
    assert [getattr(answered[f"row-{number}"], "id", None) for number in (1, 2)] == ["51", "52"]


def test_values_that_are_not_text_are_read_as_hubspot_writes_them() -> None:
    record = record_of({"id": 7, "properties": {"amount": 3, "is_open": True, "name": "x", "none": None}})
    assert record == Record("7", {"amount": "3", "is_open": "true", "name": "x", "none": None})


class Hub:
    """Associates and says nothing of it; `linked` is what a later look finds."""

    def __init__(self, linked: Mapping[str, list[str]]) -> None:
        self.linked = linked
        self.paths: list[str] = []

    async def __call__(self, method: str, path: str, *, limit: str, json: Any = None) -> Any:
        self.paths.append(path.rpartition("/batch/")[2])
        if path.endswith("/default"):
            return {"status": "COMPLETE", "results": []}
        results = [
            {"from": {"id": each["id"]}, "to": [{"toObjectId": other} for other in self.linked[each["id"]]]}
            for each in json["inputs"]
            if each["id"] in self.linked
        ]
        return {"status": "COMPLETE", "results": results}


async def test_associations_that_an_answer_does_not_mention_are_looked_for(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    hub = Hub({"1": ["9", "8"]})

    async def no_schema() -> None:
        raise AssertionError("nobody asked for it")

    contacts = contacts_of(hubspot)
    wire = Wire(hub, "2026-03", Report(batch_of(portal, hubspot.name, contacts)), no_schema)
    pairs = [Pair("1", "8", (contacts[0],)), Pair("2", "8", (contacts[1],))]
    told = {pair.source: error async for pair, error in wire.associate("contacts", "companies", pairs)}
    assert told["1"] is None
    assert isinstance(told["2"], Unexpected)
    assert hub.paths == ["associate/default", "read"]


def test_pipelines_may_have_numbers_for_ids_and_no_order() -> None:
    answer = {
        "results": [
            {
                "id": 12,
                "label": "Sales",
                "displayOrder": None,
                "stages": [
                    {"id": 3, "label": "Won", "displayOrder": 1, "metadata": {"probability": 1.0}},
                    {"id": 2, "label": "New", "displayOrder": 2, "metadata": {"probability": 0.2}},
                ],
            }
        ]
    }
    pipelines = Pipelines.of(answer)
    assert pipelines.resolve("12", "2") == ("12", "2", None)
    assert pipelines.resolve("default", "appointmentscheduled")[:2] == ("12", "2")
