"""The comparison: what is wrong with a CRM is found in each of them, whatever the pipeline believes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sandbox.demo.crms import CRMS
from sandbox.demo.facts import KINDS, Kind
from sandbox.demo.oracle import Demand
from sandbox.demo.proof import Proof, compare
from tests.sandbox.demo_ledgers import LEDGERS, TODAY, Ledger, reply_demand

Doctor = Callable[[Ledger], object]
EVERY_CRM = pytest.mark.parametrize("crm", LEDGERS)

# where each CRM keeps a kind of record
PLACES: dict[str, dict[Kind, tuple[str, int]]] = {
    "hubspot": {kind: (kind, 0) for kind in ("contacts", "companies", "deals", "notes", "tasks")},
    "salesforce": {
        "contacts": ("contacts", 0),
        "companies": ("accounts", 0),
        "deals": ("opportunities", 0),
        "notes": ("tasks", 0),
        "tasks": ("tasks", 1),
    },
    "pipedrive": {
        "contacts": ("persons", 0),
        "companies": ("organizations", 0),
        "deals": ("deals", 0),
        "notes": ("notes", 0),
        "tasks": ("activities", 0),
    },
}
RECORDS = [(crm, kind, *place) for crm, places in PLACES.items() for kind, place in places.items()]
# another value for a field that is right
OTHERS: dict[str, list[tuple[Kind, str, Any]]] = {
    "hubspot": [
        ("contacts", "hs_lead_status", "NEW"),
        ("contacts", "hs_lead_status", "UNQUALIFIED"),
        ("contacts", "lastname", "O&#x27;Neil"),
        ("contacts", "phone", ""),
        ("contacts", "crm_sync_lead_source", "Cold Call"),
        ("companies", "name", "ACME GMBH"),
        ("deals", "dealstage", "closedwon"),
        ("deals", "amount", "10"),
        ("deals", "closedate", "2026-11-22T00:00:00.000Z"),
        ("deals", "closedate", "2026-12-22T08:00:00.000Z"),
        ("notes", "hs_note_body", "<p>Re: &lt;hello&gt; &amp; more</p><li>Intent: question</li><p>Yes!<br>Ada</p>"),
        ("notes", "hs_note_body", "<p>Re: <hello> & more</p><li>Intent: interested</li><p>Yes!<br>Ada</p>"),
        ("tasks", "hs_task_subject", "Reply to Ada O'Neil"),
        ("tasks", "hs_task_body", "<p>Yes</p>"),
    ],
    "salesforce": [
        ("contacts", "FirstName", None),
        ("contacts", "LastName", "Unknown"),
        ("contacts", "LeadSource", "Web"),
        ("companies", "Name", "ACME GMBH"),
        ("deals", "StageName", "Closed Won"),
        ("deals", "Amount", None),
        ("deals", "CloseDate", "2026-11-22"),
        ("notes", "Description", "Re: <hello> & more\n\nIntent: question\n\nYes!\nAda"),
        ("notes", "Description", "Intent: interested"),
        ("tasks", "Description", ""),
        ("tasks", "Status", "Deferred"),
    ],
    "pipedrive": [
        ("contacts", "name", "ada@example.com"),
        ("contacts", "phones", []),
        ("contacts", "emails", [{"value": "ada@example.com"}, {"value": "other@example.com"}]),
        ("companies", "name", "ACME GMBH"),
        ("deals", "value", 1),
        ("deals", "status", "lost"),
        ("deals", "expected_close_date", None),
        ("notes", "content", "<p>Intent: interested</p>"),
        ("tasks", "note", None),
        ("tasks", "done", True),
        ("tasks", "type", "call"),
    ],
}
# which association is lost by clearing what
LINKS: dict[str, list[tuple[Kind, Doctor]]] = {
    "hubspot": [
        (kind, lambda ledger, ends=ends: _drop_association(ledger, ends))  # type: ignore[misc]
        for kind, ends in (
            ("contact–company", ("contacts", "companies")),
            ("deal–contact", ("deals", "contacts")),
            ("deal–company", ("deals", "companies")),
            ("note–contact", ("notes", "contacts")),
            ("note–company", ("notes", "companies")),
        )
    ],
    "salesforce": [
        ("contact–company", lambda ledger: ledger["contacts"][0]["fields"].pop("AccountId")),
        ("deal–contact", lambda ledger: ledger["opportunity_contact_roles"].clear()),
        ("deal–company", lambda ledger: ledger["opportunities"][0]["fields"].pop("AccountId")),
    ],
    "pipedrive": [
        ("contact–company", lambda ledger: ledger["persons"][0].update(org_id=None)),
        ("deal–contact", lambda ledger: ledger["deals"][0].update(person_id=None)),
        ("deal–company", lambda ledger: ledger["deals"][0].update(org_id=None)),
    ],
}
# on nobody's timeline, a text is that of nobody: it is missing there and wrong where it is
STRAYED: dict[str, list[tuple[Kind, Kind, Doctor]]] = {
    "hubspot": [("tasks", "task–contact", lambda ledger: _drop_association(ledger, ("tasks", "contacts")))],
    "salesforce": [
        ("notes", "note–contact", lambda ledger: ledger["tasks"][0]["fields"].update(WhoId=None)),
        ("tasks", "task–contact", lambda ledger: ledger["tasks"][1]["fields"].update(WhoId=None)),
    ],
    "pipedrive": [
        ("notes", "note–contact", lambda ledger: ledger["notes"][0].update(person_id=None)),
        ("tasks", "task–contact", lambda ledger: ledger["activities"][0].update(participants=[])),
    ],
}


@EVERY_CRM
def test_a_faithful_crm_has_nothing_missing_doubled_or_wrong(crm: str) -> None:
    proof = proof_of(crm)
    assert proof.is_clean, proof.details
    assert proof.details == []
    assert proof.demanded == proof.found
    assert set(proof.found) == set(proof.kinds)
    assert set(KINDS) - set(proof.kinds) <= {"note–company"}


@pytest.mark.parametrize(("crm", "kind", "place", "number"), RECORDS)
def test_a_removed_record_is_missing(crm: str, kind: Kind, place: str, number: int) -> None:
    assert proof_of(crm, lambda ledger: ledger[place].pop(number)).problems[kind, "missing"] == 1


@pytest.mark.parametrize(("crm", "kind", "place", "number"), RECORDS)
def test_a_copied_record_is_doubled(crm: str, kind: Kind, place: str, number: int) -> None:
    def copied(ledger: Ledger) -> None:
        original = ledger[place][number]
        ledger[place].append({**copy.deepcopy(original), "id": 999})
        links = [each for each in ledger.get("associations", ()) if each["from_id"] == original["id"]]
        ledger.get("associations", []).extend({**each, "from_id": 999} for each in links)

    assert proof_of(crm, copied).problems[kind, "doubled"] == 1


@pytest.mark.parametrize(
    ("crm", "kind", "name", "value"), [(c, *other) for c, all_ in OTHERS.items() for other in all_]
)
def test_another_value_is_wrong(crm: str, kind: Kind, name: str, value: Any) -> None:
    place, number = PLACES[crm][kind]

    def changed(ledger: Ledger) -> None:
        record = ledger[place][number]
        record.get("properties", record.get("fields", record))[name] = value

    assert proof_of(crm, changed).problems == {(kind, "wrong"): 1}


@pytest.mark.parametrize(("crm", "kind", "doctor"), [(crm, *link) for crm, all_ in LINKS.items() for link in all_])
def test_a_lost_association_is_missing(crm: str, kind: Kind, doctor: Doctor) -> None:
    assert proof_of(crm, doctor).problems == {(kind, "missing"): 1}


@pytest.mark.parametrize(
    ("crm", "kind", "link", "doctor"), [(crm, *each) for crm, all_ in STRAYED.items() for each in all_]
)
def test_a_text_on_nobodys_timeline_is_missing_and_wrong(crm: str, kind: Kind, link: Kind, doctor: Doctor) -> None:
    problems = proof_of(crm, doctor).problems
    assert problems == {(kind, "missing"): 1, (kind, "wrong"): 1, (link, "missing"): 1}


@EVERY_CRM
def test_somebody_elses_contact_is_wrong(crm: str) -> None:
    stranger = {"email": "eve@example.com", "Email": "eve@example.com"}

    def invaded(ledger: Ledger) -> None:
        ledger[PLACES[crm]["contacts"][0]].append(
            {"id": 77, "properties": stranger, "fields": stranger, "emails": [{"value": "eve@example.com"}]}
        )

    assert proof_of(crm, invaded).problems == {("contacts", "wrong"): 1}


@pytest.mark.parametrize("crm", ["salesforce", "pipedrive"])
def test_a_contact_of_two_rows_belongs_to_the_company_of_either_where_there_is_room_for_one(crm: str) -> None:
    demand = reply_demand()
    demand.contact_companies.add(("ada@example.com", "globex"))
    assert proof_of(crm, demand=demand).is_clean
    demand.contact_companies = {("ada@example.com", "globex"), ("ada@example.com", "initech")}
    problems = {("contact–company", "missing"): 1, ("contact–company", "wrong"): 1}
    assert proof_of(crm, demand=demand).problems == problems


def test_a_lead_instead_of_a_contact_is_wrong() -> None:
    proof = proof_of("salesforce", lambda ledger: ledger["leads"].append({"id": "00QA", "fields": {"Email": "a@b.io"}}))
    assert proof.problems == {("contacts", "wrong"): 1}


def test_a_note_at_another_moment_is_missing_and_wrong() -> None:
    late = {"hs_timestamp": "2026-11-21T09:30:00.124Z"}
    problems = proof_of("hubspot", lambda ledger: ledger["notes"][0]["properties"].update(late)).problems
    assert problems["notes", "missing"] == problems["notes", "wrong"] == 1


@pytest.mark.parametrize("crm", ["salesforce", "pipedrive"])
def test_two_messages_that_say_the_same_demand_two_notes(crm: str) -> None:
    demand = reply_demand()
    demand.notes.append(replace(demand.notes[0], moment=demand.notes[0].moment + 1000))
    proof = proof_of(crm, demand=demand)
    assert proof.problems == {("notes", "missing"): 1, ("note–contact", "missing"): 1}


def test_texts_that_several_messages_would_fit_are_given_to_as_many_as_possible() -> None:
    """The first note fits both messages, the second only one: whoever comes first must not take it from the other."""
    demand = reply_demand()
    general = replace(demand.notes[0], lines=("Yes!",), moment=1)
    demand.notes.insert(0, general)

    def answered(ledger: Ledger) -> None:
        content = ledger["notes"][0]["content"].replace("<br>Ada", "<br>Bob")
        ledger["notes"].append({"id": 9, "content": content, "person_id": 1})

    assert proof_of("pipedrive", answered, demand).is_clean


@pytest.mark.parametrize(
    ("crm", "name", "value", "is_right"),
    [
        ("salesforce", "LastName", "ada", True),
        ("salesforce", "LastName", "O'Neil", False),
        ("pipedrive", "name", "Ada", True),
        ("pipedrive", "name", "ada@example.com", False),
    ],
)
def test_who_has_no_last_name_is_called_as_the_crm_needs_it(crm: str, name: str, value: str, is_right: bool) -> None:
    demand = reply_demand()
    contact = demand.contacts["ada@example.com"]
    contact.people = [replace(each, last_name="") for each in contact.people]

    def named(ledger: Ledger) -> None:
        record = ledger[PLACES[crm]["contacts"][0]][0]
        record.get("fields", record)[name] = value

    assert proof_of(crm, named, demand).is_clean == is_right


def proof_of(crm: str, doctor: Doctor = lambda _ledger: None, demand: Demand | None = None) -> Proof:
    """What is found in a ledger after the doctor had it in hand."""
    reading, ledger = CRMS[crm].reading, LEDGERS[crm]()
    doctor(ledger)
    proof = Proof(reading.kinds)
    compare(proof, reading, demand or reply_demand(), ledger, (TODAY, TODAY))
    return proof


def _drop_association(ledger: Ledger, ends: tuple[str, str]) -> None:
    ledger["associations"] = [each for each in ledger["associations"] if (each["from_type"], each["to_type"]) != ends]
