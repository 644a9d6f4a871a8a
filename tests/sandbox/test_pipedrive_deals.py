"""Deals, their stages, and activities of the emulated Pipedrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.pipedrive import Pipedrive
from tests.clock import Clock
from tests.sandbox.pipedrive_client import Acme, opened


@pytest.fixture
def acme(clock: Clock) -> Iterator[Acme]:
    with opened(Pipedrive(clock, limits=False)) as acme:
        yield acme


def listed(acme: Acme, path: str, **params: Any) -> list[int]:
    return [each["id"] for each in acme.get(path, **params).raise_for_status().json()["data"]]


def test_a_deal_starts_in_the_first_stage_and_follows_its_status(acme: Acme, clock: Clock) -> None:
    deal = acme.made("/deals", title="Deal", value=12.5)
    stages = acme.get("/stages").json()["data"]
    assert (deal["stage_id"], deal["pipeline_id"]) == (stages[0]["id"], stages[0]["pipeline_id"])
    assert (deal["status"], deal["currency"], deal["value"]) == ("open", "USD", 12.5)
    clock.advance(5)
    won = acme.patch(f"/deals/{deal['id']}", status="won").json()["data"]
    assert won["won_time"] == won["close_time"] == won["update_time"]
    lost = acme.patch(f"/deals/{deal['id']}", status="lost", lost_reason="price").json()["data"]
    assert (lost["won_time"], lost["lost_reason"]) == (None, "price")
    moved = acme.patch(f"/deals/{deal['id']}", stage_id=stages[2]["id"]).json()["data"]
    assert moved["stage_change_time"] == moved["update_time"]


def test_a_stage_belongs_to_its_pipeline(acme: Acme) -> None:
    pipeline, stages = acme.company.add_pipeline("Partners", "New", "Signed")
    assert acme.made("/deals", title="Deal", pipeline_id=pipeline)["stage_id"] == stages[0]
    deal = acme.made("/deals", title="Deal", stage_id=stages[1])
    assert deal["pipeline_id"] == pipeline
    assert acme.post("/deals", title="Deal", pipeline_id=1, stage_id=stages[0]).status_code == 400
    assert acme.patch(f"/deals/{deal['id']}", pipeline_id=1).json()["data"]["stage_id"] == 1
    assert acme.patch(f"/deals/{deal['id']}", stage_id=stages[0]).json()["data"]["pipeline_id"] == pipeline


def test_deals_are_listed_by_person_stage_and_status(acme: Acme) -> None:
    person = acme.person()
    first = acme.made("/deals", title="First", person_id=person)["id"]
    second = acme.made("/deals", title="Second", status="won")["id"]
    assert listed(acme, "/deals", person_id=person) == [first]
    assert listed(acme, "/deals", status="won,lost") == [second]
    acme.delete(f"/deals/{first}")
    assert listed(acme, "/deals", status="deleted") == [first]
    assert listed(acme, "/deals", stage_id=1) == [second]


def test_an_activity_belongs_to_its_primary_participant(acme: Acme) -> None:
    ada, eve = acme.person("Ada"), acme.person("Eve")
    activity = acme.made(
        "/activities",
        subject="Reply",
        type="email",
        due_date="2026-11-23",
        due_time="09:30",
        done=True,
        note="<p>Hello</p>",
        participants=[{"person_id": ada}, {"person_id": eve, "primary": True}],
    )
    assert activity["person_id"] == eve
    assert activity["marked_as_done_time"] is not None
    assert listed(acme, "/activities", person_id=eve) == [activity["id"]]
    assert listed(acme, "/activities", person_id=ada) == []
    assert listed(acme, "/activities", done="false") == []
    assert "attendees" not in acme.get(f"/activities/{activity['id']}").json()["data"]
    assert acme.get(f"/activities/{activity['id']}", include_fields="attendees").json()["data"]["attendees"] == []


def test_an_activity_without_a_subject_is_named_by_its_type(acme: Acme) -> None:
    assert acme.made("/activities", type="deadline")["subject"] == "Deadline"
    assert acme.made("/activities")["type"] == "call"
