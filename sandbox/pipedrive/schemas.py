"""What a record of each kind may be given, and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.pipedrive.errors import InvalidValueError
from sandbox.pipedrive.records import Data
from sandbox.pipedrive.values import (
    Check,
    address,
    attendees,
    boolean,
    channels,
    clock_time,
    currency,
    date_only,
    duration,
    labels,
    moment,
    number,
    one_of,
    participants,
    reference,
    text,
    user,
    v1_moment,
)
from sandbox.pipedrive.wire import iso

if TYPE_CHECKING:
    from sandbox.pipedrive.company import Company

VISIBILITY = (1, 3, 5, 7)
FLAGS = (0, 1)
LONGEST_NOTE = 100_000


@dataclass(frozen=True)
class Member:
    """`nullable`: null clears it."""

    check: Check
    nullable: bool = False


@dataclass(frozen=True)
class Schema:
    """The members of one kind's bodies.

    Attributes:
        required: members that a new record needs.
        forbidden: members that exist, but not for this account (403).
        initial: members that a body does not have or need not name, as they are at first.
    """

    kind: str
    title: str
    members: Mapping[str, Member]
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    initial: Mapping[str, Any] = field(default_factory=dict)
    has_customs: bool = True


def _common(kind: str) -> dict[str, Member]:
    return {
        "owner_id": Member(user),
        "add_time": Member(moment),
        "update_time": Member(moment),
        "visible_to": Member(one_of(VISIBILITY)),
        "label_ids": Member(labels(kind)),
    }


_PERSON, _ORGANIZATION, _DEAL = (
    Member(reference(kind), nullable=True) for kind in ("persons", "organizations", "deals")
)
_OPTIONAL_TEXT = Member(text(255), nullable=True)


def _known_option(kind: str, code: str) -> Check:
    def check(company: Company, name: str, value: object) -> Any:
        return one_of([each.id for each in company.fields[kind].get(code).options])(company, name, value)

    return check


def _stage(company: Company, name: str, value: object) -> Any:
    return one_of([each.id for each in company.stages])(company, name, value)


def _pipeline(company: Company, name: str, value: object) -> Any:
    return one_of([each.id for each in company.pipelines])(company, name, value)


def _activity_type(company: Company, name: str, value: object) -> Any:
    return one_of([each.key for each in company.activity_types])(company, name, value)


def _percent(company: Company, name: str, value: object) -> Any:
    if not 0 <= number(company, name, value) <= 100:
        raise InvalidValueError(name, "the value must be between 0 and 100")
    return value


def _no_such(kind: str) -> Check:
    def check(_company: Company, name: str, value: object) -> Any:
        raise InvalidValueError(name, f"{kind} {value} not found")

    return check


_NAME = Member(text(255, shortest=1))
_FLAG = Member(one_of(FLAGS))

PERSONS = Schema(
    "persons",
    "Person",
    {
        "name": _NAME,
        "emails": Member(channels),
        "phones": Member(channels),
        "org_id": _ORGANIZATION,
        **_common("persons"),
    },
    required=("name",),
    forbidden=("job_title", "im", "ims", "birthday", "notes", "postal_address", "marketing_status"),
    initial={"emails": [], "phones": [], "org_id": None, "label_ids": [], "visible_to": 3, "picture_id": None},
)
ORGANIZATIONS = Schema(
    "organizations",
    "Organization",
    {
        "name": _NAME,
        "address": Member(address, nullable=True),
        "website": _OPTIONAL_TEXT,
        "linkedin": _OPTIONAL_TEXT,
        "industry": Member(_known_option("organizations", "industry"), nullable=True),
        "annual_revenue": Member(number, nullable=True),
        "employee_count": Member(number, nullable=True),
        **_common("organizations"),
    },
    required=("name",),
    initial={
        "address": None,
        "website": None,
        "linkedin": None,
        "industry": None,
        "annual_revenue": None,
        "employee_count": None,
        "label_ids": [],
        "visible_to": 3,
    },
)
DEALS = Schema(
    "deals",
    "Deal",
    {
        "title": _NAME,
        "value": Member(number),
        "currency": Member(currency),
        "person_id": _PERSON,
        "org_id": _ORGANIZATION,
        "pipeline_id": Member(_pipeline),
        "stage_id": Member(_stage),
        "status": Member(one_of(("open", "won", "lost"))),
        "lost_reason": Member(text(150), nullable=True),
        "probability": Member(_percent, nullable=True),
        "expected_close_date": Member(date_only, nullable=True),
        "close_time": Member(moment, nullable=True),
        "won_time": Member(moment, nullable=True),
        "lost_time": Member(moment, nullable=True),
        "is_archived": Member(boolean),
        **_common("deals"),
    },
    required=("title",),
    initial={
        "value": 0,
        "person_id": None,
        "org_id": None,
        "status": "open",
        "lost_reason": None,
        "probability": None,
        "expected_close_date": None,
        "close_time": None,
        "won_time": None,
        "lost_time": None,
        "stage_change_time": None,
        "is_archived": False,
        "label_ids": [],
        "visible_to": 3,
    },
)
ACTIVITIES = Schema(
    "activities",
    "Activity",
    {
        "subject": _NAME,
        "type": Member(_activity_type),
        "owner_id": Member(user),
        "deal_id": _DEAL,
        "lead_id": Member(_no_such("lead"), nullable=True),
        "org_id": _ORGANIZATION,
        "project_id": Member(_no_such("project"), nullable=True),
        "due_date": Member(date_only, nullable=True),
        "due_time": Member(clock_time, nullable=True),
        "duration": Member(duration, nullable=True),
        "busy": Member(boolean),
        "done": Member(boolean),
        "location": Member(address, nullable=True),
        "participants": Member(participants),
        "attendees": Member(attendees),
        "public_description": Member(text(65_000), nullable=True),
        "priority": Member(_known_option("activities", "priority"), nullable=True),
        "note": Member(text(65_000), nullable=True),
    },
    initial={
        "deal_id": None,
        "lead_id": None,
        "org_id": None,
        "project_id": None,
        "due_date": None,
        "due_time": None,
        "duration": None,
        "busy": False,
        "done": False,
        "marked_as_done_time": None,
        "location": None,
        "participants": [],
        "attendees": [],
        "public_description": None,
        "priority": None,
        "note": None,
        "conference_meeting_client": None,
        "conference_meeting_url": None,
        "conference_meeting_id": None,
    },
    has_customs=False,
)
NOTES = Schema(
    "notes",
    "Note",
    {
        "content": Member(text(LONGEST_NOTE, shortest=1)),
        "person_id": _PERSON,
        "org_id": _ORGANIZATION,
        "deal_id": _DEAL,
        "lead_id": Member(_no_such("lead"), nullable=True),
        "project_id": Member(_no_such("project"), nullable=True),
        "user_id": Member(user),
        "add_time": Member(v1_moment),
        "pinned_to_person_flag": _FLAG,
        "pinned_to_organization_flag": _FLAG,
        "pinned_to_deal_flag": _FLAG,
        "pinned_to_lead_flag": _FLAG,
        "pinned_to_project_flag": _FLAG,
    },
    required=("content",),
    initial={
        "person_id": None,
        "org_id": None,
        "deal_id": None,
        "lead_id": None,
        "project_id": None,
        "pinned_to_person_flag": 0,
        "pinned_to_organization_flag": 0,
        "pinned_to_deal_flag": 0,
        "pinned_to_lead_flag": 0,
        "pinned_to_project_flag": 0,
    },
    has_customs=False,
)
SCHEMAS = {each.kind: each for each in (PERSONS, ORGANIZATIONS, DEALS, ACTIVITIES, NOTES)}


def complete(company: Company, kind: str, before: Data | None, after: Data, now: float) -> None:
    """Members that follow from others, filled in; raises InvalidValueError for what does not fit together."""
    if kind == "persons":
        first, _, last = str(after["name"]).strip().partition(" ")
        after["first_name"], after["last_name"] = first, last.strip() or None
    elif kind == "deals":
        _complete_deal(company, before, after, now)
    elif kind == "activities":
        named = next(each.name for each in company.activity_types if each.key == after["type"])
        after.setdefault("subject", named)
        after["person_id"] = next((each["person_id"] for each in after["participants"] if each["primary"]), None)
        if after["done"] and not (before or {}).get("done"):
            after["marked_as_done_time"] = iso(now)
        elif not after["done"]:
            after["marked_as_done_time"] = None
    elif kind == "notes" and not any(after[each] for each in ("person_id", "org_id", "deal_id", "lead_id")):
        raise InvalidValueError("person_id", "a note needs one of deal_id, person_id, org_id or lead_id")


def _complete_deal(company: Company, before: Data | None, after: Data, now: float) -> None:
    given = before or {}
    moves = after.get("pipeline_id") != given.get("pipeline_id")
    if "stage_id" not in after or (moves and after["stage_id"] == given.get("stage_id")):
        wanted = after.get("pipeline_id") or company.pipelines[0].id
        after["stage_id"] = next(each.id for each in company.stages if each.pipeline_id == wanted)
    pipeline = next(each.pipeline_id for each in company.stages if each.id == after["stage_id"])
    if moves and after.get("pipeline_id") not in (None, pipeline):
        raise InvalidValueError("stage_id", f"stage {after['stage_id']} is not of pipeline {after['pipeline_id']}")
    after["pipeline_id"] = pipeline
    if before is not None and after["stage_id"] != before["stage_id"]:
        after["stage_change_time"] = iso(now)
    if after["lost_reason"] is not None and after["status"] != "lost":
        raise InvalidValueError("lost_reason", "the reason can only be set if the status is lost")
    for status, member in (("won", "won_time"), ("lost", "lost_time")):
        if after["status"] != status:
            after[member] = None
        elif after[member] is None:
            after[member] = iso(now)
    if after["status"] == "open":
        after["close_time"] = None
    elif after["close_time"] is None:
        after["close_time"] = iso(now)
