"""What a synced contact asks for next: mappings, deals and timeline activities, each at most once."""

from __future__ import annotations

from uuid import UUID

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, documents, failed, queue, synced


def settings(house: House, **values: object) -> None:
    from psycopg.types.json import Jsonb

    house.connection.execute("update public.user_integrations set sync_settings = sync_settings || %s", [Jsonb(values)])


def test_an_interested_reply_becomes_a_contact_then_a_deal_and_an_activity(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization, company="Acme")
    message = house.reply(organization, contact, "interested")
    contacts = daemon.claim()
    assert (contacts["deals"], contacts["activities"]) == ([], [])
    daemon.confirm(contacts)
    assert queue(house, "queue_type, status, message_id, priority", "status = 'pending'") == [
        ("deal_sync", "pending", message, 3),
        ("activity_sync", "pending", message, 3),
    ]
    rest = daemon.claim()
    assert [len(rest[kind]) for kind in ("contacts", "deals", "activities")] == [0, 1, 1]
    assert rest["deals"][0]["contact_external_id"] == f"crm-{contact}"
    assert rest["deals"][0]["company_external_id"] == rest["activities"][0]["company_external_id"]
    daemon.confirm(rest)
    assert daemon.try_claim() is None
    mapping = house.rows(
        "select contact_id, message_id, external_contact_id, external_deal_id, sync_status, sync_data ->> 'status' "
        "from public.contact_sync_mappings"
    )
    deal = f"crm-deal:{contact}:interested"
    assert mapping == [(contact, message, f"crm-{contact}", deal, "synced", "qualified")]
    company = rest["deals"][0]["company_external_id"]
    assert house.rows(
        "select object_type, key, external_id, rule, confirmed_at is not null from crm_sync.effects order by 1"
    )[1:] == [
        ("company", house.value("select crm_sync.company_key('Acme')"), company, None, True),
        ("deal", f"deal:{contact}:interested", deal, "interested", True),
    ]
    assert house.rows("select object_type, key, external_id from crm_sync.effects where object_type = 'activity'") == [
        ("activity", f"message:{message}", f"crm-message:{message}")
    ]
    assert_books_balance(house)


def test_a_contact_has_at_most_one_deal_for_each_rule(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.connection.execute("insert into crm_sync.intent_rules (intent, create_deal) values ('meeting', true)")
    contact = house.contact(organization)
    for intent in ("interested", "Interested!", "meeting"):
        house.reply(organization, contact, intent)
        daemon.work()
    house.reply(organization, contact, "interested")
    house.reply(organization, contact, "meeting")
    daemon.work()
    assert house.rows("select key from crm_sync.effects where object_type = 'deal' order by key") == [
        (f"deal:{contact}:interested",),
        (f"deal:{contact}:meeting",),
    ]
    assert len(queue(house, "1", "queue_type = 'deal_sync'")) == 2


def test_a_message_classified_twice_before_it_was_sent_asks_for_one_deal(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    message = house.reply(organization, house.contact(organization), "interested")
    house.classify(message, "interested")
    daemon.confirm(daemon.claim())
    assert len(queue(house, "1", "queue_type = 'deal_sync'")) == 1


def test_a_message_classified_by_two_rules_asks_for_one_deal_of_each(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.connection.execute("insert into crm_sync.intent_rules (intent, create_deal) values ('meeting', true)")
    message = house.reply(organization, house.contact(organization), "interested")
    house.classify(message, "meeting")
    daemon.confirm(daemon.claim())
    keys = queue(house, "payload ->> 'key'", "queue_type = 'deal_sync'")
    assert len(keys) == len(set(keys)) == 2


def test_a_message_classified_twice_is_one_activity_of_two_rows(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    message = house.reply(organization, house.contact(organization), "question")
    house.classify(message, "objection")
    daemon.confirm(daemon.claim())
    (activity,) = daemon.claim()["activities"]
    assert len(activity["rows"]) == 2
    assert (activity["key"], activity["intent"]) == (f"message:{message}", "objection")


def test_a_message_classified_again_later_updates_its_activity(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    message = house.reply(organization, house.contact(organization), "question")
    daemon.work()
    house.classify(message, "objection")
    daemon.confirm(daemon.claim())
    (activity,) = daemon.claim()["activities"]
    assert activity["external_id"] == f"crm-message:{message}"
    assert house.value("select count(*) from crm_sync.effects where object_type = 'activity'") == 1


def test_the_settings_decide_about_deals_and_activities(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    settings(house, auto_create_deals=False, log_activities=False)
    house.reply(organization, house.contact(organization), "interested")
    daemon.confirm(daemon.claim())
    assert queue(house, "queue_type") == [("contact_sync",)]


def test_an_organizations_own_rule_goes_before_the_common_one(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.connection.execute(
        "insert into crm_sync.intent_rules (organization_id, intent, contact_status, create_deal) values "
        "(%s, 'interested', 'contacted', false), (%s, 'interested', 'unqualified', true)",
        [organization, house.organization("Other")],
    )
    house.reply(organization, house.contact(organization), "interested")
    batch = daemon.claim()
    assert batch["contacts"][0]["echo"]["status"] == "contacted"
    daemon.confirm(batch)
    assert queue(house, "queue_type", "queue_type = 'deal_sync'") == []


def test_two_contacts_with_one_address_are_one_record_and_one_of_them_a_conflict(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    first, second = house.contact(organization), house.contact(organization, "ADA@example.com")
    for contact in (first, second):
        house.reply(organization, contact, "interested")
    batch = daemon.claim()
    daemon.finish(batch, [synced(document, "7") for document in documents(batch)])
    assert house.rows(
        "select contact_id, sync_status, external_contact_id, conflict_data ->> 'external_contact_id', "
        "conflict_data ->> 'owner_contact_id' from public.contact_sync_mappings order by id"
    ) in (
        [(first, "synced", "7", None, None), (second, "conflict", None, "7", str(first))],
        [(second, "conflict", None, "7", str(first)), (first, "synced", "7", None, None)],
    )
    rest = daemon.claim()
    assert {document["contact_external_id"] for document in rest["deals"] + rest["activities"]} == {"7"}
    daemon.confirm(rest)
    house.reply(organization, second, "x")
    batch = daemon.claim()
    assert batch["contacts"][0]["external_id"] == "7"
    daemon.finish(batch, [synced(document, "7") for document in documents(batch)])
    assert house.value("select count(*) from public.contact_sync_mappings where external_contact_id = '7'") == 1


def test_a_conflict_ends_when_the_crms_record_is_free(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    first, second = house.contact(organization), house.contact(organization)
    for contact in (first, second):
        house.reply(organization, contact, "x")
    batch = daemon.claim()
    daemon.finish(batch, [synced(document, "7") for document in documents(batch)])
    house.connection.execute("delete from public.contacts where id = %s", [first])
    house.reply(organization, second, "x")
    while (more := daemon.try_claim()) is not None:
        daemon.finish(more, [synced(d, "7" if "email" in d else None) for d in documents(more)])
    assert house.rows("select sync_status, external_contact_id, conflict_data from public.contact_sync_mappings") == [
        ("synced", "7", None)
    ]


def test_a_failure_marks_the_mapping_and_forgets_nothing(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    daemon.work()
    before = house.rows("select external_contact_id, external_deal_id, sync_data from public.contact_sync_mappings")
    house.reply(organization, contact, "question")
    batch = daemon.claim()
    daemon.finish(batch, [failed(d, "rejected", "no") for d in documents(batch)])
    assert house.rows("select sync_status from public.contact_sync_mappings") == [("error",)]
    assert (
        house.rows("select external_contact_id, external_deal_id, sync_data from public.contact_sync_mappings")
        == before
    )


def test_an_old_classification_that_is_retried_does_not_overrule_a_newer_one(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """qualified and unqualified are of one rank: the newer wins, and newer means said later, not sent later."""
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    daemon.fail(daemon.claim(), "rejected", "not now")
    house.reply(organization, contact, "not_interested")
    daemon.work()
    house.value("select crm_sync.retry_failed(%s)", integration)
    batch = daemon.claim()
    assert batch["contacts"][0]["echo"]["status"] == "unqualified"
    daemon.confirm(batch)
    house.reply(organization, contact, "interested")
    assert daemon.claim()["contacts"][0]["echo"]["status"] == "qualified"


def test_a_machines_answer_never_makes_a_deal(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for n, intent in enumerate(("unsubscribe", "hard bounce", "Out of Office", "auto-reply")):
        house.reply(organization, house.contact(organization, f"m{n}@example.com"), intent)
    batch = daemon.claim()
    assert {document["echo"]["status"] for document in batch["contacts"]} == {"new"}
    daemon.confirm(batch)
    assert queue(house, "1", "queue_type = 'deal_sync'") == []


def test_a_deal_that_was_skipped_for_want_of_an_address_is_made_another_time(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    daemon.confirm(daemon.claim())
    house.connection.execute("update public.contacts set email = null")
    assert daemon.try_claim() is None
    assert queue(house, "status", "queue_type = 'deal_sync'") == [("skipped",)]
    house.connection.execute("update public.contacts set email = 'ada@example.com'")
    house.reply(organization, contact, "interested")
    daemon.work()
    assert queue(house, "status", "queue_type = 'deal_sync'") == [("skipped",), ("completed",)]
