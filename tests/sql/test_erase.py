"""Erasing a person: nothing of ours holds a byte of them afterwards, whatever their rows were doing."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, connect, documents, failed, queue, synced

EMAIL, PHONE, FIRST, LAST = "Canary.Q@wilde-vogel.example", "+49 30 5557788", "Canaria", "Quetzalfeder"
BODY = "the message of the quetzal"
WORDS = (EMAIL.lower(), PHONE, LAST, BODY)

OURS = """
  select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
  where c.relkind = 'r' and (n.nspname = 'crm_sync' or n.nspname = 'public' and (
    c.relname in ('integration_providers', 'user_integrations', 'contact_sync_mappings', 'sync_queue')
    or c.relname ~ '^sync_activity_logs'))
"""


def places_of(house: House, *words: str, organization: UUID | None = None) -> list[str]:
    """The tables of ours with a row that holds one of these words, by all that the catalogs know of."""
    found = []
    for schema, table in house.rows(OURS):
        query = f'select to_jsonb(t)::text from "{schema}"."{table}" as t'
        for (text,) in house.connection.execute(query.encode()).fetchall():
            if organization is not None and str(organization) not in text:
                continue
            found += [f"{schema}.{table}: {word}" for word in words if word.lower() in text.lower()]
    return sorted(set(found))


def erase(house: House, contact: UUID, *, user: UUID | None = None, **given: Any) -> list[dict[str, Any]]:
    role = "crm_sync_daemon" if user is None else "authenticated"
    with house.as_role(role, user) as connection:
        rows = connection.execute(
            "select to_jsonb(e) from crm_sync.erase_contact(%s, %s, %s, %s) as e",
            [contact, given.get("in_crm", False), given.get("reason"), given.get("words", [])],
        ).fetchall()
    return [row for (row,) in rows]


def done(rows: list[dict[str, Any]], what: str) -> int:
    return sum(row["rows"] for row in rows if row["what"] == what)


def canary(house: House, organization: UUID, **columns: str | None) -> UUID:
    values = {"first_name": FIRST, "last_name": LAST, "phone": PHONE, "company": "Wilde Vogel", **columns}
    return house.contact(organization, values.pop("email", EMAIL), **values)


def say(house: House, organization: UUID, contact: UUID, intent: str = "interested") -> UUID:
    message = house.message(organization, contact, body=BODY)
    house.classify(message, intent, attention=True)
    return message


def confirm(daemon: Daemon, batch: dict[str, Any]) -> int:
    return daemon.finish(batch, (synced(each, f"x{each['rows'][0]}") for each in documents(batch)))


@pytest.fixture
def balanced(house: House) -> Iterator[None]:
    yield
    assert_books_balance(house)


pytestmark = pytest.mark.usefixtures("balanced")


@pytest.mark.usefixtures("rolled_back")
def test_after_all_states_on_three_crms_not_a_byte_of_the_person_is_left(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    crms = [house.integration(organization, crm) for crm in ("hubspot", "salesforce", "pipedrive")]
    person, other = canary(house, organization), house.contact(organization, "other@example.com")
    say(house, organization, person)
    while (batch := daemon.try_claim()) is not None:
        confirm(daemon, batch)  # contact, deal, message and task, everywhere
    # quoted by the CRM: in the person's own rows, and in those of another
    words = f'"{EMAIL}" ({FIRST} {LAST}, {PHONE}) is not valid'
    for contact in (person, other):
        house.reply(organization, contact, "question")
    for crm in crms:
        batch = daemon.claim(integration=crm)
        daemon.fail(batch, "rejected", words, code="INVALID_EMAIL", field="email")
    house.reply(organization, other, "question")
    daemon.fail(daemon.claim(integration=crms[0]), "contended", words)  # is tried again
    daemon.fail(daemon.claim(integration=crms[1]), "unavailable", words)  # parks the lane
    house.connection.execute("select crm_sync.pause(%s)", [crms[2]])
    house.connection.execute("update crm_sync.pauses set reason = %s", [words])
    house.connection.execute("update crm_sync.lanes set paused_reason = %s where integration_id = %s", [words, crms[2]])
    house.connection.execute("update public.user_integrations set last_error = %s", [words])
    house.connection.execute(
        "insert into crm_sync.tallies (organization_id, integration_id, failed, failed_causes, counted_at, "
        "believed_until, took) select %s, %s, 1, array_agg(c), now(), now(), '1 s' "
        "from jsonb_populate_recordset(null::crm_sync.cause, %s) as c",
        [organization, crms[0], json.dumps([{"message": words}])],
    )
    alert = house.value(
        "insert into crm_sync.alerts (organization_id, integration_id, rule, condition, subject, severity, threshold, "
        "unit, words, remedy) values (%s, %s, 'r', 'c', 's', 'info', 1, 'rows', %s, 'none') returning id",
        organization, crms[0], words,
    )  # fmt: skip
    house.connection.execute(
        "insert into crm_sync.deliveries (alert_id, type, payload) values (%s, 'alert.raised', %s)",
        [alert, json.dumps({"words": words})],
    )
    named = {"all": [{"field": "contact.email", "op": "<>", "value": EMAIL}]}
    for filters in (named, {}):
        house.connection.execute(
            "update public.user_integrations set sync_filters = %s where id = %s", [json.dumps(filters), crms[0]]
        )
    say(house, organization, person)  # waits
    assert len(places_of(house, *WORDS[:3])) > 20

    rows = erase(house, person, in_crm=True, reason=f"asked by {FIRST} {LAST}")

    assert places_of(house, *WORDS, FIRST + " ") == []
    assert done(rows, "public.contact_sync_mappings") == 3
    assert done(rows, "public.sync_queue") > 12
    assert done(rows, "public.contacts") == 1  # told, not touched
    held = places_of(house, str(person))
    assert {place.split(":")[0] for place in held} == {"public.sync_queue", "crm_sync.erasures"}
    kinds = queue(house, "queue_type", f"contact_id = '{person}'")
    assert {kind for (kind,) in kinds} == {"contact_erasure"}
    assert house.value("select reason from crm_sync.erasures") == "asked by [erased]"
    entries = house.rows("select description from sync_activity_logs where title = 'Person erased'")
    assert len(entries) == 3
    assert all("crm_sync_daemon (asked by [erased])" in description for (description,) in entries)
    others = house.rows("select last_error from sync_queue where contact_id = %s and last_error is not null", other)
    assert {last_error for (last_error,) in others} == {'"[erased]" ([erased], [erased]) is not valid'}


@pytest.mark.usefixtures("rolled_back")
def test_the_row_for_the_crm_holds_ids_only_and_nothing_when_the_crm_has_deleted(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    person = canary(house, organization)
    say(house, organization, person)
    daemon.work()
    erase(house, person, in_crm=True)
    [(payload,)] = queue(house, "payload", "queue_type = 'contact_erasure'")
    assert set(payload) == {"key", "account_id", "contacts", "deals", "activities", "tasks", "deal_keys"}
    assert [len(payload[each]) for each in ("contacts", "deals", "activities", "tasks")] == [1, 1, 1, 1]
    assert house.value("select state from crm_sync.erasure_progress") == "is on its way"

    batch = daemon.claim()
    assert batch["erasures"][0]["contacts"] == payload["contacts"]
    assert batch["contacts"] == []
    daemon.finish(batch, [{**synced(batch["erasures"][0]), "external_id": None}])

    [(payload, status)] = queue(house, "payload, status", "queue_type = 'contact_erasure'")
    assert (payload, status) == ({}, "completed")
    assert house.value("select state from crm_sync.erasure_progress") == "deleted in the CRM"
    entry = house.rows(
        "select title, contact_id, external_id from sync_activity_logs where activity_type = 'erase_contact'"
    )
    assert entry == [("Person erased in the CRM", None, None)]


@pytest.mark.usefixtures("rolled_back")
def test_an_older_daemon_that_knows_of_no_erasure_does_not_take_one_again_and_again(
    house: House, organization: UUID, integration: int
) -> None:
    contact = canary(house, organization)
    say(house, organization, contact)
    daemon = Daemon(house)
    daemon.work()
    erase(house, contact, in_crm=True)
    batch = daemon.claim()
    assert batch["erasures"], "of which an older daemon sees nothing"
    daemon.finish(batch, [])
    assert daemon.answer()[0] is None
    [(status, words)] = queue(house, "status, last_error", "queue_type = 'contact_erasure'")
    assert (status, "restart it in the new version" in words) == ("retry", True)
    assert "restart it in the new version" in str(house.rows("select * from crm_sync.failures"))
    house.connection.execute("update public.sync_queue set next_attempt_at = now() where completed_at is null")
    batch = daemon.claim()
    assert daemon.finish(batch, [{**synced(batch["erasures"][0]), "external_id": None}]) == 1


def test_what_is_said_of_a_person_who_was_erased_while_being_sent_leaves_no_trace(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    person, other = canary(house, organization), house.contact(organization, "other@example.com")
    for contact in (person, other):
        say(house, organization, contact)
    batch = daemon.claim()
    assert len(batch["contacts"]) == 2
    rows = erase(house, person, in_crm=True)
    assert any("being sent" in (row["remark"] or "") for row in rows)
    assert daemon.try_claim() is None  # the CRM is asked when it is known what was made

    assert confirm(daemon, batch) == 1
    assert places_of(house, *WORDS) == []
    assert house.value("select count(*) from contact_sync_mappings where contact_id = %s", other) == 1
    [(payload,)] = queue(house, "payload", "queue_type = 'contact_erasure'")
    sent = next(each for each in batch["contacts"] if each["contact_id"] == str(person))
    assert payload["contacts"] == [f"x{sent['rows'][0]}"]
    erasures = [each for batch in [daemon.claim()] for each in batch["erasures"]]
    assert [each["contacts"] for each in erasures] == [payload["contacts"]]


@pytest.mark.usefixtures("rolled_back")
def test_a_failure_that_quotes_a_person_who_was_erased_meanwhile_is_forgotten(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    person = canary(house, organization)
    say(house, organization, person)
    batch = daemon.claim()
    erase(house, person)
    assert daemon.finish(batch, [failed(each, "unavailable", f"{EMAIL} is ill") for each in documents(batch)]) == 0
    assert places_of(house, *WORDS) == []
    assert house.rows("select * from crm_sync.batches") == []


@pytest.mark.usefixtures("rolled_back")
def test_a_batch_whose_daemon_vanished_does_not_bring_an_erased_row_back(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    person = canary(house, organization)
    say(house, organization, person)
    batch = daemon.claim()
    erase(house, person, in_crm=True)
    house.connection.execute("update crm_sync.batches set lease_until = now() - interval '1 s'")
    taken = daemon.claim()
    assert taken["contacts"] == []
    assert [(each["contacts"], each["uncertain"]) for each in taken["erasures"]] == [([], True)]  # looked for by our id
    assert confirm(daemon, batch) == 0
    assert places_of(house, *WORDS) == []


@pytest.mark.usefixtures("rolled_back")
def test_nothing_of_an_erased_person_is_sent_again_until_that_is_lifted(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    person = canary(house, organization)
    erase(house, person)
    say(house, organization, person)
    assert daemon.try_claim() is None
    [(status, reason)] = queue(house, "status, last_error")
    assert (status, reason) == ("skipped", "this person was erased: crm_sync.lift_erasure() if it may be sent again")
    asked = house.rows("select outcome, reason from crm_sync.manual_sync(%s, array[%s])", organization, person)
    assert asked == [("not enqueued", "this person was erased")]
    planned = house.rows("select change, reason from crm_sync.plan(%s, %s)", person, integration)
    assert planned == [("kept out", "this person was erased: nothing of it is sent")]
    assert house.rows("select enqueued from crm_sync.backfill(%s)", integration) == [(0,)]
    house.connection.execute("select crm_sync.lift_erasure(%s)", [person])
    say(house, organization, person)
    assert len(daemon.claim()["contacts"]) == 1
    with pytest.raises(psycopg.Error, match="was not erased") as error, house.connection.transaction():
        house.connection.execute("select crm_sync.lift_erasure(%s)", [person])
    assert error.value.sqlstate == "CS091"


@pytest.mark.usefixtures("rolled_back")
def test_a_person_whom_the_host_application_has_deleted_is_erased_in_the_crm_by_what_the_log_knows(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    person = canary(house, organization)
    say(house, organization, person)
    daemon.work()
    [(external_id,)] = house.rows("select external_contact_id from contact_sync_mappings")
    house.connection.execute("delete from public.inbox_messages where contact_id = %s", [person])
    house.connection.execute("delete from public.contacts where id = %s", [person])
    assert places_of(house, EMAIL.lower()) != []
    member = house.user(organization)
    erase(house, person, user=member, in_crm=True)
    assert places_of(house, *WORDS) == []
    [(payload,)] = queue(house, "payload", "queue_type = 'contact_erasure'")
    assert payload["contacts"] == [external_id]
    assert len(daemon.claim()["erasures"]) == 1  # although there is no such contact


@pytest.mark.usefixtures("rolled_back")
def test_the_same_person_of_another_organization_and_a_contact_with_the_same_address_stay(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    elsewhere = house.organization("Elsewhere")
    house.integration(elsewhere)
    people = canary(house, organization), canary(house, organization, first_name="Twin"), canary(house, elsewhere)
    for contact, owner in zip(people, (organization, organization, elsewhere), strict=True):
        say(house, owner, contact)
    while (batch := daemon.try_claim()) is not None:
        daemon.finish(batch, (synced(each, "same" if "email" in each else None) for each in documents(batch)))
    before = places_of(house, *WORDS, organization=elsewhere)
    assert before != []
    [shared] = [row for row in erase(house, people[0]) if row["what"] == "same address"]
    assert str(people[1]) in shared["remark"]
    assert places_of(house, *WORDS, organization=elsewhere) == before
    twins = house.rows(
        "select contact_id, sync_status, conflict_data from contact_sync_mappings where organization_id = %s",
        organization,
    )
    assert [(contact, status) for contact, status, _ in twins] == [(people[1], "conflict")]
    assert str(people[0]) not in json.dumps(twins[0][2])


@pytest.mark.usefixtures("rolled_back")
def test_who_may_not_manage_a_contact_hears_what_everybody_hears_of_one_that_does_not_exist(
    house: House, organization: UUID, integration: int
) -> None:
    stranger = house.user(house.organization("Elsewhere"))
    person = canary(house, organization)
    heard = set()
    for contact in (person, uuid4()):
        for call in ("crm_sync.erase_contact(%s)", "crm_sync.lift_erasure(%s)"):
            with (
                house.as_role("authenticated", stranger) as connection,
                pytest.raises(psycopg.Error) as error,
                connection.transaction(),
            ):
                connection.execute(f"select * from {call}".encode(), [contact])
            with house.as_role("authenticated", stranger) as connection:
                assert connection.execute("select crm_sync.personal_data(%s, true)", [contact]).fetchall() == []
            heard.add((error.value.sqlstate, str(error.value.diag.message_primary).replace(str(contact), "…")))
    assert heard == {("CS021", "there is no contact … that you may manage")}


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(
    ("given", "sqlstate"),
    [
        ({"words": ["Ann"]}, "CS093"),
        ({"words": [None]}, "CS093"),
        ({"words": [f"word {n}" for n in range(21)]}, "CS093"),
        ({"words": ["x" * 201]}, "CS093"),
        ({"reason": "x" * 501}, "CS091"),
    ],
)
def test_what_makes_no_sense_is_refused(
    house: House, organization: UUID, integration: int, given: dict[str, Any], sqlstate: str
) -> None:
    person = canary(house, organization)
    with (
        house.as_role("crm_sync_daemon") as connection,
        pytest.raises(psycopg.Error) as error,
        connection.transaction(),
    ):
        connection.execute(
            "select * from crm_sync.erase_contact(%s, false, %s, %s)",
            [person, given.get("reason"), given.get("words", [])],
        )
    assert error.value.sqlstate == sqlstate
    assert error.value.diag.message_hint


def test_a_snapshot_of_before_is_refused(house: House, organization: UUID, integration: int, database: str) -> None:
    person = canary(house, organization)
    with connect(database) as connection:
        connection.execute("begin isolation level repeatable read")
        with pytest.raises(psycopg.Error) as error:
            connection.execute("select crm_sync.erase_contact(%s)", [person])
    assert error.value.sqlstate == "CS094"


@pytest.mark.usefixtures("rolled_back")
def test_further_words_are_looked_for_and_others_longer_addresses_stay(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    person, other = canary(house, organization), house.contact(organization, "x@example.com")
    house.reply(organization, other, "x")
    words = f"Maidenname and not{EMAIL} and {EMAIL}.org and 0049 (30) 555-7788"
    daemon.fail(daemon.claim(), "rejected", words)
    erase(house, person, words=["maidenname"])
    [(last_error,)] = queue(house, "last_error")
    assert last_error == f"[erased] and not{EMAIL} and {EMAIL}.org and [erased]"


@pytest.mark.usefixtures("rolled_back")
def test_asked_again_the_crm_is_asked_as_well_and_what_waits_there_stays(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    person = canary(house, organization)
    say(house, organization, person)
    daemon.work()
    erase(house, person)
    assert queue(house) == []
    for _ in range(2):
        erase(house, person, in_crm=True)
    [(status, uncertain)] = queue(house, "status, uncertain")
    assert (status, uncertain) == ("pending", True)  # the ids are forgotten: looked for by our id


@pytest.mark.usefixtures("rolled_back")
def test_a_deletion_is_never_carried_to_another_account(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.connection.execute("update user_integrations set account_id = 'old'")
    person = canary(house, organization)
    say(house, organization, person)
    daemon.work()
    erase(house, person, in_crm=True)
    house.connection.execute("update user_integrations set account_id = 'new'")
    assert daemon.try_claim() is None
    [(status, reason)] = queue(house, "status, last_error")
    assert status == "skipped"
    assert "another account" in reason


@pytest.mark.usefixtures("rolled_back")
def test_personal_data_tells_what_is_held_and_until_when(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    person, other = canary(house, organization), house.contact(organization, "other@example.com")
    say(house, organization, person)
    daemon.work()
    house.reply(organization, other, "x")
    daemon.fail(daemon.claim(), "rejected", f"{EMAIL} has it")
    member = house.user(organization)
    query = "select what, rows, kept_until from crm_sync.personal_data(%s, %s)"
    with house.as_role("authenticated", member) as connection:
        held, quick = ([*connection.execute(query, [person, is_thorough])] for is_thorough in (True, False))
    assert [(what, rows) for what, rows, _ in held] == [
        ("public.sync_queue", 4),
        ("public.contact_sync_mappings", 1),
        ("crm_sync.effects", 3),
        ("public.sync_activity_logs", 4),
        ("public.sync_activity_logs", 1),
        ("public.sync_queue", 1),
        ("crm_sync.lanes", 1),
    ]
    assert [until is None for _, _, until in held] == [False, True, True, False, False, False, True]
    assert quick == held[:4]
    erase(house, person)
    assert house.rows("select what from crm_sync.personal_data(%s)", person) == [("crm_sync.erasures",)]


@pytest.mark.parametrize("value", ["-1 days", "101 years"])
@pytest.mark.usefixtures("rolled_back")
def test_a_retention_has_bounds(house: House, value: str) -> None:
    for name in ("retain_finished", "retain_logs", "retain_changes", "retain_samples", "delete_disconnected_after"):
        with pytest.raises(psycopg.errors.CheckViolation), house.connection.transaction():
            house.connection.execute(f"update crm_sync.config set {name} = %s".encode(), [value])


def test_daemons_and_people_who_erase_never_wait_for_each_other_without_end(
    house: House, database: str, organization: UUID
) -> None:
    crms = [house.integration(organization, crm) for crm in ("hubspot", "salesforce")]
    contacts = [canary(house, organization, email=f"c{n}@wilde-vogel.example", phone=None) for n in range(40)]
    for contact in contacts:
        say(house, organization, contact)
    errors: list[psycopg.Error] = []
    is_over = threading.Event()

    def work() -> None:
        with connect(database) as connection:
            connection.execute("set deadlock_timeout = '100ms'")
            daemon = Daemon(House(connection))
            try:
                while not is_over.is_set():
                    for crm in crms:
                        if (batch := daemon.try_claim(limit=5, integration=crm)) is not None:
                            confirm(daemon, batch)
            except psycopg.Error as error:
                errors.append(error)

    def erase_some(some: list[UUID]) -> None:
        with connect(database) as connection:
            connection.execute("set deadlock_timeout = '100ms'")
            try:
                for contact in some:
                    erase(House(connection), contact)
            except psycopg.Error as error:
                errors.append(error)

    daemons = [threading.Thread(target=work) for _ in range(2)]
    people = [threading.Thread(target=erase_some, args=(contacts[n::2],)) for n in range(2)]
    for each in (*daemons, *people):
        each.start()
    for person in people:
        person.join(30)
    is_over.set()
    for each in daemons:
        each.join(15)
    assert errors == []
    while any(batches := [Daemon(house).try_claim(integration=crm) for crm in crms]):
        for batch in filter(None, batches):
            confirm(Daemon(house), batch)
    assert places_of(house, "wilde-vogel", BODY, LAST) == []
    assert queue(house) == []
    assert house.rows("select * from crm_sync.batches") == []


@pytest.mark.usefixtures("rolled_back")
def test_the_page_says_of_every_column_whether_it_may_hold_a_person(house: House) -> None:
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()
    written = [
        f"{table}.{column}"
        for table, columns in re.findall(r"^\| `((?:public|crm_sync)\.\w+)` \| ([a-z_0-9, ]+) \|", page, re.MULTILINE)
        for column in columns.split(", ")
    ]
    there = house.rows(
        "select n.nspname || '.' || c.relname || '.' || a.attname from pg_class as c "
        "join pg_namespace as n on n.oid = c.relnamespace "
        "join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relkind in ('r', 'p') and not c.relispartition and (n.nspname = 'crm_sync' or n.nspname = 'public' "
        "and c.relname in ('integration_providers', 'user_integrations', 'contact_sync_mappings', 'sync_queue', "
        "'sync_activity_logs')) "
        "and a.atttypid = any ('{text,jsonb,json,uuid,uuid[],text[],crm_sync.cause[]}'::regtype[])"
    )
    assert sorted(written) == sorted(column for (column,) in there)


@pytest.mark.usefixtures("rolled_back")
def test_the_words_of_a_member_blank_nothing_that_concerns_everybody(
    house: House, organization: UUID, integration: int
) -> None:
    member, person = house.user(organization), canary(house, organization, last_name="daemon is alive", first_name="No")
    house.connection.execute("select crm_sync.pause_all('everything', p_reason => 'maintenance')")
    message = {"type": "alert.raised", "data": {"rule": "no_worker_alive", "words": "No daemon is alive"}}
    for owner in (organization, None):
        house.connection.execute(
            "with alert as (insert into crm_sync.alerts (organization_id, rule, condition, subject, severity, "
            "threshold, unit, words, remedy) "
            "values (%s, 'r', 'c', gen_random_uuid(), 'info', 1, 'rows', 'No daemon is alive', 'x') "
            "returning id) insert into crm_sync.deliveries (alert_id, type, payload) "
            "select id, 'alert.raised', %s from alert",
            [owner, json.dumps(message)],
        )
    words = ["maintenance", "no_worker_alive", "alert.raised"]

    def seen() -> list[tuple[Any, ...]]:
        return house.rows(
            "select a.words, d.payload -> 'data' ->> 'words', d.payload ->> 'type', d.payload -> 'data' ->> 'rule' "
            "from crm_sync.alerts as a join crm_sync.deliveries as d on d.alert_id = a.id order by a.organization_id"
        )

    theirs = ("No daemon is alive", "No daemon is alive", "alert.raised", "no_worker_alive")
    own = ("[erased]", "[erased]", "alert.raised", "no_worker_alive")
    assert done(erase(house, person, user=member, words=words), "an operator's words") == 1
    assert seen() == [own, theirs]
    assert house.value("select reason from crm_sync.pauses") == "maintenance"
    erase(house, person, words=words)
    assert seen() == [own, own]
    assert house.value("select reason from crm_sync.pauses") == "[erased]"


@pytest.mark.usefixtures("rolled_back")
def test_who_did_what_and_what_is_acted_upon_are_nobodys_words(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    member, person = house.user(organization), canary(house, organization)
    other = house.contact(organization, "other@example.com")
    house.reply(organization, other, "question")
    daemon.fail(daemon.claim(), "rejected", EMAIL, code="INVALID_EMAIL", field="email")
    with house.as_role("authenticated", member):
        house.connection.execute("select crm_sync.pause(%s)", [integration])
    told = "select description from public.sync_activity_logs where title = 'Paused'"
    before = house.value(told)
    assert str(member) in before
    house.connection.execute(
        "update public.sync_activity_logs set description = description || %s || %s where title = 'Paused'",
        [f" for {EMAIL} ", str(person)],
    )
    erase(house, person, user=member, words=[str(member), "rejected", "INVALID_EMAIL", "message"])
    assert house.value(told) == before + " for [erased] [erased]"
    for failure in (
        house.value("select failure from public.sync_queue"),
        house.value("select error_details from public.sync_activity_logs where contact_id = %s", other),
    ):
        assert (failure["kind"], failure["code"]) == ("rejected", "INVALID_EMAIL")
    assert house.value("select count(*) from crm_sync.unknown_errors") == 0
