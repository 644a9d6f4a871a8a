"""One classification, all the way."""

from __future__ import annotations

import time

from listener.db import Database
from tests.house import eventually
from tests.listener.daemons import daemon, settings_for
from tests.listener.shop import Shop


def test_a_classification_arrives_in_hubspot_with_all_that_belongs_to_it(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    contact = shop.person(tenant, first_name="Ada", last_name="Lovelace", email="Ada@Example.com", company="Engines")
    with daemon(database):
        message = shop.reply(tenant, contact, "interested")
        shop.wait_until_settled()
    assert shop.statuses() == {"completed": 3}
    ledger = shop.ledger(tenant)
    (person,), (company,), (deal,), (note,) = (ledger[name] for name in ("contacts", "companies", "deals", "notes"))
    assert person["properties"]["email"] == "ada@example.com"
    assert person["properties"]["firstname"] == "Ada"
    assert person["properties"]["hs_lead_status"] == "OPEN_DEAL"
    assert company["properties"]["name"] == "Engines"
    assert deal["properties"]["dealname"] == "Ada - Email Lead"
    assert "body number" in note["properties"]["hs_note_body"]
    linked = {(each["from_type"], each["to_type"]) for each in ledger["associations"]}
    assert {("contacts", "companies"), ("deals", "contacts"), ("notes", "contacts")} <= linked
    assert shop.house.rows(
        "select contact_id, message_id, external_contact_id, external_company_id, external_deal_id, sync_status "
        "from contact_sync_mappings"
    ) == [(contact, message, person["id"], company["id"], deal["id"], "synced")]
    assert shop.house.rows("select activity_type, status from sync_activity_logs order by id") == [
        ("sync_contact", "success"),
        ("sync_deal", "success"),
        ("sync_activity", "success"),
    ]
    assert shop.house.rows("select total_synced_contacts, total_synced_deals, error_count from user_integrations") == [
        (1, 1, 0)
    ]
    assert shop.house.rows("select state, waiting, running, failed from crm_sync.status") == [("connected", 0, 0, 0)]
    shop.assert_accounts()


def test_a_committed_row_is_on_its_way_within_a_second_in_an_idle_system(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with daemon(database, poll_seconds=3600):
        shop.reply(tenant)
        shop.wait_until_settled()
        eventually(lambda: shop.house.value("select armed from crm_sync.daemons"), "an armed daemon")
        message = shop.house.message(tenant.organization, shop.person(tenant))
        calls = shop.ledger(tenant)["calls"]["total"]
        shop.house.classify(message)
        started = time.monotonic()
        while shop.ledger(tenant)["calls"]["total"] == calls:
            assert time.monotonic() < started + 15
        latency = time.monotonic() - started
        shop.wait_until_settled()
    print(f"from commit to the first request: {latency * 1000:.1f} ms")
    assert latency < 1


def test_several_replies_of_one_contact_are_one_record_and_a_note_each(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    contact = shop.person(tenant)
    for intent in ("question", "interested", "interested", "not_interested", "out of office"):
        shop.reply(tenant, contact, intent)
    with daemon(database):
        shop.wait_until_settled()
    shop.assert_exact(tenant)
    assert len(shop.ledger(tenant)["deals"]) == 1


async def test_what_a_crm_says_in_odd_characters_can_be_settled(shop: Shop, database: str) -> None:
    from providers.errors import FailureKind
    from providers.models import Failure, Outcome

    tenant = shop.tenant()
    shop.reply(tenant)
    settings = settings_for(database)
    opened = await Database.open(settings)
    try:
        from uuid import uuid4

        claim = await opened.claim(uuid4(), 10, 60)
        assert claim.batch is not None
        failure = Failure(kind=FailureKind.REJECTED, message="half a pair \ud83d, a \0 and \\u0000 as such")
        outcome = Outcome(rows=claim.batch.contacts[0].rows, status="failed", failure=failure)
        assert await opened.finish(claim.batch.id, [outcome]) == 1
    finally:
        await opened.close()
    assert shop.house.value("select last_error from sync_queue") == "half a pair ?, a  and \\u0000 as such"
