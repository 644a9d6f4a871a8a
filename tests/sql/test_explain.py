"""Did this message reach the CRMs, and if not why and when next: asked by a DBA and by members."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.house import House
from tests.sql.daemon import Daemon, documents, elapse, synced

pytestmark = pytest.mark.usefixtures("rolled_back")

Row = dict[str, Any]


def explain(house: House, message: UUID, user: UUID | None = None) -> list[Row]:
    """The rows for a DBA, or for a member."""
    with house.as_role("authenticated" if user else "crm_sync_reader", user) as connection:
        cursor = connection.execute("select * from crm_sync.explain(%s)", [message])
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def step(house: House, message: UUID, object_: str = "contact") -> Row:
    (row,) = [each for each in explain(house, message) if each["object"] == object_]
    return row


def finish_all(house: House, daemon: Daemon) -> None:
    """What a daemon would be seen to do: it is alive, and all is confirmed."""
    daemon.be_alive()
    daemon.work()


def forget_queue(house: House) -> None:
    """As the purge would, without the counters."""
    house.connection.execute("delete from public.sync_queue where completed_at is not null")


def test_what_arrived_is_named_with_its_record_and_what_was_sent(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization, first_name="Ada")
    message = house.reply(organization, contact, "interested", attention=True)
    finish_all(house, daemon)
    rows = explain(house, message)
    assert [(row["step"], row["object"], row["state"], row["has_arrived"]) for row in rows] == [
        ("contact_sync", "contact", "synced", True),
        ("deal_sync", "deal", "synced", True),
        ("activity_sync", "activity", "synced", True),
        ("activity_sync", "task", "synced", True),
    ]
    first = rows[0]
    assert (first["organization_id"], first["integration_id"], first["provider"]) == (
        organization,
        integration,
        "hubspot",
    )
    assert first["answer"].startswith(f"Arrived in HubSpot as contact crm-{contact} at ")
    assert (first["attempts"], first["max_attempts"]) == (1, 3)
    assert first["queue_id"] == house.value("select min(id) from public.sync_queue")
    assert first["payload"] == house.value("select sync_data -> 'fields' from public.contact_sync_mappings")
    assert rows[1]["payload"]["dealname"] == "Ada - Email Lead"
    assert rows[2]["payload"]["body"] == "Hi!"
    assert "Reply to Ada" in rows[3]["payload"]["subject"]
    assert first["rule"] == (
        "the common rule for interested: "
        "the contact's status becomes qualified unless it is further, a deal is made once"
    )
    assert first["filter"] == "no filter is set: everything is let through"
    assert {"to": "email", "from": "email", "policy": "when_changed", "by": "the provider"} in first["mapping"]
    assert rows[2]["mapping"] is None


def test_what_was_purged_is_answered_from_the_log_and_what_is_older_from_the_mapping(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    message = house.reply(organization, house.contact(organization), "interested", attention=True)
    finish_all(house, daemon)
    before = explain(house, message)
    forget_queue(house)
    after = explain(house, message)
    for old, new in zip(before, after, strict=True):
        assert new["queue_id"] is None
        same = ("step", "state", "has_arrived", "external_id", "answer", "payload", "finished_at", "rule")
        assert [new[name] for name in same] == [old[name] for name in same]
    house.connection.execute("delete from public.sync_activity_logs")
    oldest = explain(house, message)
    assert [row["has_arrived"] for row in oldest] == [True] * 4
    assert [row["external_id"] for row in oldest] == [row["external_id"] for row in before]
    assert integration


def test_a_row_that_a_newer_one_carried_says_so(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    first, second = (house.reply(organization, contact, intent) for intent in ("question", "interested"))
    finish_all(house, daemon)
    carried, carrier = step(house, first), step(house, second)
    assert (carried["state"], carrier["state"]) == ("superseded", "synced")
    assert carried["has_arrived"]
    assert carried["answer"].endswith("carried along by a newer row of the contact.")
    assert carried["queue_id"] < carrier["queue_id"]
    assert carried["payload"] == carrier["payload"]
    forget_queue(house)
    assert (step(house, first)["state"], step(house, first)["external_id"]) == ("superseded", carried["external_id"])
    again = house.reply(organization, contact, "interested")
    finish_all(house, daemon)
    assert step(house, again, "deal")["answer"].startswith(
        "The deal that this contact gets once is in HubSpot already: "
    )
    assert integration


def test_waiting_and_why(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    message = house.reply(organization, house.contact(organization), "interested")
    idle = step(house, message)
    assert (idle["state"], idle["answer"], idle["has_arrived"]) == ("waiting", "Waits: no daemon is running.", False)
    assert (idle["next_attempt_at"], idle["remedy"]) == (None, "Start a daemon: crm-sync run.")
    daemon.be_alive()
    ready = step(house, message)
    assert ready["answer"] == "Waits for its turn: it is sent as soon as a daemon comes to it."
    assert ready["next_attempt_at"] is not None
    assert ready["payload"]["email"] == "ada@example.com"
    assert [row["answer"] for row in explain(house, message)[1:]] == ["Follows when the contact has arrived."] * 2
    assert explain(house, message)[1]["payload"]["dealname"] == "ada@example.com - Email Lead"

    house.value("select crm_sync.pause(%s)", integration)
    paused = step(house, message)
    assert paused["answer"].startswith("Waits: the connection is paused by ")
    assert (paused["next_attempt_at"], paused["remedy"]) == (None, f"select crm_sync.resume({integration});")
    house.value("select crm_sync.resume(%s)", integration)

    batch = daemon.claim()
    running = step(house, message)
    assert running["state"] == "running"
    assert running["answer"].startswith("Is being sent, since ")
    second = house.reply(organization, UUID(batch["contacts"][0]["contact_id"]), "question")
    assert step(house, second)["answer"] == "Waits: another row of the contact is being sent."
    daemon.fail(batch, "rate_limited", "too many calls", retry_after=60)
    parked = step(house, message)
    assert parked["state"] == "retrying"
    assert parked["answer"].startswith("Waits: too many calls, until ")
    assert parked["meaning"] == "the CRM asked us to slow down"
    assert parked["next_attempt_at"] == house.value("select parked_until from crm_sync.lanes")
    house.connection.execute("update public.user_integrations set status = 'error', last_error = 'token revoked'")
    assert step(house, message)["answer"].startswith(
        "Waits: the connection needs a person first: token revoked; before "
    )
    house.connection.execute("update public.user_integrations set status = 'disconnected'")
    assert step(house, message)["answer"].startswith("Waits: the CRM is disconnected")
    assert step(house, message)["next_attempt_at"] is None


def test_a_connection_that_works_by_the_hour_names_its_slot(house: House, daemon: Daemon, organization: UUID) -> None:
    house.integration(organization, sync_frequency="hourly")
    daemon.be_alive()
    row = step(house, house.reply(organization, house.contact(organization), "x"))
    assert row["answer"].endswith("this connection works hourly.")
    assert row["next_attempt_at"] == house.value("select next_attempt_at from public.sync_queue")


def test_what_failed_comes_with_the_crms_answer_its_meaning_and_what_to_do(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    daemon.be_alive()
    message = house.reply(organization, house.contact(organization), "x")
    trouble: dict[str, Any] = {
        "code": "INVALID_OPTION",
        "field": "hs_lead_status",
        "correlation_id": "c-1",
        "status": 400,
    }
    daemon.fail(daemon.claim(), "contended", "busy")
    retrying = step(house, message)
    assert retrying["state"] == "retrying"
    assert "busy; tried 1 of 3 times." in retrying["answer"]
    elapse(house)
    daemon.fail(daemon.claim(), "rejected", "X was not one of the allowed options", **trouble)
    row = step(house, message)
    assert (row["state"], row["code"], row["correlation_id"]) == ("failed", "INVALID_OPTION", "c-1")
    assert row["crm_says"] == "X was not one of the allowed options"
    assert "X was not one of the allowed options; tried 2 of 3 times." in row["answer"]
    assert row["meaning"] == "the field takes only certain values, and ours is not among them"
    assert "crm_sync.retry_failed" in row["remedy"]
    assert row["payload"]["email"] == "ada@example.com"
    forget_queue(house)
    gone = step(house, message)
    same = ("state", "code", "correlation_id", "crm_says", "meaning")
    assert [gone[name] for name in same] == [row[name] for name in same]
    assert integration


def test_what_was_filtered_says_by_which_condition_and_what_would_be_sent(house: House, organization: UUID) -> None:
    filters = {"all": [{"field": "intent", "op": "=", "value": "interested"}]}
    house.integration(organization, sync_filters=filters)
    contact = house.contact(organization)
    row = step(house, house.reply(organization, contact, "question"))
    assert (row["state"], row["has_arrived"]) == ("skipped", False)
    assert row["answer"] == 'Not sent: filtered out: not intent = "interested".'
    assert row["filter"] == 'filtered out: not intent = "interested"'
    assert row["payload"]["email"] == "ada@example.com"
    let_through = step(house, house.reply(organization, contact, "interested"))
    assert let_through["filter"] == 'let through by all of: intent = "interested"'


@pytest.mark.parametrize(
    ("email", "words"),
    [(None, "the contact has no e-mail address"), ("nobody", "the contact's e-mail address is malformed")],
)
def test_what_no_crm_could_take_says_so(
    house: House, daemon: Daemon, organization: UUID, integration: int, email: str | None, words: str
) -> None:
    message = house.reply(organization, house.contact(organization, email), "x")
    finish_all(house, daemon)
    assert step(house, message)["answer"] == f"Not sent: {words}."
    assert integration


def test_nothing_asked_nobody_connected_connected_later_and_no_contact(
    house: House, organization: UUID, daemon: Daemon
) -> None:
    contact = house.contact(organization)
    silent = house.message(organization, contact)
    (row,) = explain(house, silent)
    assert (row["state"], row["step"], row["has_arrived"]) == ("absent", None, False)
    assert row["answer"] == "Nothing was asked of a CRM: the message has not been classified."
    message = house.reply(organization, contact, "x")
    (row,) = explain(house, message)
    assert row["answer"] == "Not sent: the organization has no connected CRM."
    assert (row["state"], row["step"]) == ("skipped", "contact_sync")
    house.connection.execute("update public.message_classifications set created_at = now() - interval '1 hour'")
    house.integration(organization)
    (row,) = explain(house, message)
    assert (row["state"], row["step"]) == ("absent", None)
    assert row["answer"] == "Nothing was enqueued: the connection was made later than the classification."
    assert "manual_sync" in row["remedy"]
    anonymous = house.message(organization, None)
    house.classify(anonymous, "x")
    assert step(house, anonymous)["answer"] == "Not sent: the message belongs to no contact."
    assert daemon


def test_a_classification_without_its_message_is_a_dbas_affair(house: House, organization: UUID) -> None:
    unknown = uuid4()
    house.classify(unknown, "x")
    (row,) = explain(house, unknown)
    assert row["answer"] == (
        "Waits for its message: the message does not exist (yet); it is taken up as soon as that changes."
    )
    assert explain(house, unknown, house.user(organization)) == []
    house.connection.execute("delete from crm_sync.orphans")
    assert "is not waited for any more" in explain(house, unknown)[0]["answer"]


def test_members_see_their_own_and_others_cannot_be_told_from_what_does_not_exist(
    house: House, organization: UUID, integration: int
) -> None:
    member = house.user(organization)
    stranger = house.user(house.organization("Other"), "other@example.com")
    message = house.reply(organization, house.contact(organization), "x")
    assert [row["integration_id"] for row in explain(house, message, member)] == [integration, integration]
    assert explain(house, message, stranger) == explain(house, uuid4(), stranger) == explain(house, uuid4()) == []


def test_payload_and_mapping_are_given_to_members_alone_and_for_what_belongs_to_the_message_alone(
    house: House, organization: UUID, integration: int
) -> None:
    member, other = house.user(organization), house.organization("Other")
    stranger = house.user(other, "other@example.com")
    contact = house.contact(organization)
    message, second = house.reply(organization, contact, "x"), house.reply(organization, contact, "y")
    theirs = house.reply(other, house.contact(other), "z")
    (row, *_) = explain(house, message)

    def seen(user: UUID, message: UUID, classified: UUID, queue_id: int | None) -> tuple[Any, Any]:
        of = "select id from public.message_classifications where message_id = %s"
        classification = house.value(of, classified)
        with house.as_role("authenticated", user):
            return (
                house.value(
                    "select crm_sync.explained_payload(%s, %s, %s, 'contact', %s, null)",
                    *(message, integration, classification, queue_id),
                ),
                house.value("select crm_sync.explained_mapping(%s, %s, 'contact')", organization, integration),
            )

    assert seen(member, message, message, row["queue_id"]) == (row["payload"], row["mapping"])
    assert row["payload"]
    assert row["mapping"]
    assert seen(stranger, message, message, row["queue_id"]) == (None, None)
    for asked in [
        (message, second, row["queue_id"]),
        (message, theirs, None),
        (theirs, theirs, None),
        (second, second, row["queue_id"]),
    ]:
        assert seen(member, *asked)[0] is None


def test_each_connection_and_each_classification_has_its_rows(house: House, daemon: Daemon, organization: UUID) -> None:
    hubspot, pipedrive = house.integration(organization), house.integration(organization, "pipedrive")
    message = house.reply(organization, house.contact(organization), "x")
    daemon.be_alive()
    batch = daemon.claim(integration=hubspot)
    daemon.finish(batch, map(synced, documents(batch)))
    assert {row["integration_id"]: row["state"] for row in explain(house, message) if row["object"] == "contact"} == {
        hubspot: "synced",
        pipedrive: "waiting",
    }
    house.classify(message, "interested")
    rows = [row for row in explain(house, message) if row["object"] == "contact"]
    assert sorted((row["intent"], row["integration_id"], row["state"]) for row in rows) == [
        ("interested", hubspot, "waiting"),
        ("interested", pipedrive, "waiting"),
        ("x", hubspot, "synced"),
        ("x", pipedrive, "waiting"),
    ]


def test_a_remark_of_the_crm_is_part_of_the_answer(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    message = house.reply(organization, house.contact(organization), "x")
    daemon.be_alive()
    batch = daemon.claim()
    daemon.finish(batch, [synced(document, remark="FirstName was cut") for document in documents(batch)])
    row = step(house, message)
    assert row["state"] == "synced"
    assert row["answer"].endswith("; FirstName was cut.")
    assert integration


def test_an_organizations_own_rule_is_named_as_such(house: House, organization: UUID, integration: int) -> None:
    house.connection.execute(
        "insert into crm_sync.intent_rules (organization_id, intent, contact_status) values (%s, 'x', 'contacted')",
        [organization],
    )
    own = step(house, house.reply(organization, house.contact(organization), "X"))
    assert own["rule"].startswith("the organization's own rule for x: the contact's status becomes contacted")
    none = step(house, house.reply(organization, house.contact(organization, "b@example.com"), "odd"))
    assert none["rule"] == "no rule for odd: the contact's status is left alone, no deal is made"
    assert integration


def test_of_a_contact_with_very_many_rows_the_limits_are_told(
    house: House, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    message = house.reply(organization, contact, "x")
    house.connection.execute(
        "insert into public.sync_queue (organization_id, integration_id, contact_id, queue_type) "
        "select %s, %s, %s, 'contact_sync' from generate_series(1, 3001)",
        [organization, integration, contact],
    )
    row = step(house, message)
    assert (row["state"], row["has_arrived"]) == ("waiting", False)
    assert row["answer"].startswith("Waits, most likely: the contact has more than 3,000 open rows on this connection")
    with house.as_role("crm_sync_reader"):
        assert house.rows(
            "select reason from crm_sync.plan(%s, %s) where field is null and change = 'kept out'", contact, integration
        ) == [("the contact has more than 200 waiting rows: shown is what the first 200 of them make",)]
