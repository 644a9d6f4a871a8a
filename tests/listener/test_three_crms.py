"""Classifications on their whole way into each of the CRMs."""

from __future__ import annotations

from pathlib import Path

from tests.house import eventually
from tests.listener.daemons import process
from tests.listener.shop import Shop, Tenant


def calls(tenant: Tenant) -> int:
    return int(tenant.account.calls["total"])


def test_all_that_a_classification_demands_arrives_once_and_belongs_together(
    each_shop: Shop, database: str, tmp_path: Path
) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    contact = shop.person(tenant, first_name="Ada", last_name="Lovelace", email="Ada@Example.com", company="Engines")
    with process(tmp_path, database):
        message = shop.reply(tenant, contact, "interested", attention=True)
        shop.wait_until_settled()
    assert shop.statuses() == {"completed": 4}
    shop.assert_exact(tenant)
    found = tenant.account.found()
    assert (found.contacts, found.companies) == (["ada@example.com"], ["Engines"])
    assert (len(found.deals), len(found.notes), len(found.tasks)) == (1, 1, 1)
    assert "Ada - Email Lead" in found.deals[0].text
    assert "Reply to Ada Lovelace" in found.tasks[0].text
    assert shop.house.rows(
        "select contact_id, message_id, external_contact_id, external_company_id from contact_sync_mappings"
    ) == [(contact, message, tenant.account.ids("contact")[0], tenant.account.ids("company")[0])]
    assert shop.house.rows("select * from crm_sync.failures") == []


def test_a_further_reply_of_a_known_contact_adds_a_note_and_changes_nothing_else(
    each_shop: Shop, database: str, tmp_path: Path
) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    contact = shop.person(tenant)
    with process(tmp_path, database):
        shop.reply(tenant, contact, "interested")
        shop.wait_until_settled()
        effects, before = tenant.account.effects(), calls(tenant)
        shop.reply(tenant, contact, "interested")
        shop.wait_until_settled()
    shop.assert_exact(tenant)
    assert len(tenant.account.found().notes) == 2
    # HubSpot's note is associated with contact and company, in effects of their own
    assert tenant.account.effects() - effects <= (5 if shop.crm.name == "hubspot" else 1)
    assert calls(tenant) - before <= 3


def test_a_message_that_is_classified_again_has_its_note_rewritten(
    each_shop: Shop, database: str, tmp_path: Path
) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    with process(tmp_path, database):
        message = shop.reply(tenant, shop.person(tenant), "question")
        shop.wait_until_settled()
        assert "not interested" not in tenant.account.found().notes[0].text
        shop.house.classify(message, "not_interested", "low", attention=True)
        shop.wait_until_settled()
    assert "not interested" in tenant.account.found().notes[0].text
    shop.assert_exact(tenant)


def test_what_people_set_in_the_crm_survives_what_we_know_less_of(
    each_shop: Shop, database: str, tmp_path: Path
) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    contact = shop.person(tenant, phone="+1 111", company=None)
    with process(tmp_path, database):
        shop.reply(tenant, contact)
        shop.wait_until_settled()
        (id_,) = tenant.account.ids("contact")
        tenant.account.change("contact", id_, **shop.kit.phone("+9 999"))
        # something of ours changes as well, so that the contact is written
        shop.house.connection.execute("update contacts set last_name = 'Married' where id = %s", [contact])
        shop.reply(tenant, contact)
        shop.wait_until_settled()
        values = str(tenant.account.values("contact", id_))
        assert "+9 999" in values
        assert "+1 111" not in values
        assert "Married" in values
        shop.house.connection.execute("update contacts set phone = '' where id = %s", [contact])
        shop.reply(tenant, contact)
        shop.wait_until_settled()
    assert "+9 999" in str(tenant.account.values("contact", id_))
    shop.assert_exact(tenant)


def test_a_contact_that_is_deleted_in_the_crm_before_its_note_is_made_again_once(
    each_shop: Shop, database: str, tmp_path: Path
) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    contact = shop.person(tenant)
    with process(tmp_path, database):
        shop.reply(tenant, contact, "question")
        shop.wait_until_settled()
        (old,) = tenant.account.ids("contact")
        tenant.account.delete("contact", old)
        for intent in ("interested", "question"):
            shop.reply(tenant, contact, intent, attention=True)
        shop.hurry_until_settled(tenant)
        assert tenant.account.ids("contact") not in ([], [old])
        assert set(shop.statuses()) == {"completed"}
        effects = tenant.account.found()
    # what hung on the old one went with it, or hangs on nobody
    assert len(effects.contacts) == 1
    assert [each.contacts for each in effects.deals] == [tuple(effects.contacts)]
    assert sum(each.contacts == tuple(effects.contacts) for each in effects.notes) == 2
    assert [each.contacts for each in effects.tasks] == [tuple(effects.contacts)] * 2
    shop.assert_accounts()


def test_a_company_that_is_deleted_in_the_crm_keeps_nobody_out(each_shop: Shop, database: str, tmp_path: Path) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    with process(tmp_path, database):
        shop.reply(tenant, shop.person(tenant))
        shop.wait_until_settled()
        (old,) = tenant.account.ids("company")
        tenant.account.delete("company", old)
        newcomer = shop.person(tenant)
        shop.reply(tenant, newcomer, "interested", attention=True)
        shop.hurry_until_settled(tenant)
    assert set(shop.statuses()) == {"completed"}
    found = tenant.account.found()
    email = shop.house.value("select email from contacts where id = %s", newcomer)
    assert found.companies == ["Acme Ltd"]
    assert (email, "Acme Ltd") in found.employers
    assert [each.contacts for each in found.deals] == [(email,)]


def test_two_daemons_that_meet_the_same_companies_make_each_once(
    each_shop: Shop, database: str, tmp_path: Path
) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    with (
        process(tmp_path, database, CRM_SYNC_BATCH_SIZE="20"),
        process(tmp_path, database, CRM_SYNC_BATCH_SIZE="20"),
    ):
        shop.replies(tenant, 200, companies=10)
        shop.wait_until_settled()
    assert set(shop.statuses()) == {"completed"}
    shop.assert_exact(tenant)
    assert len(tenant.account.found().companies) == 10


def test_what_the_classifier_said_arrives_in_the_fields_that_it_is_mapped_to(
    each_shop: Shop, database: str, tmp_path: Path
) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    said = {"sentiment": "positive", "classification_priority": "high", "next_action": "call"}
    names = {source: tenant.account.offer(source.title(), "Sunny", "Gloomy") for source in said}
    with process(tmp_path, database):
        shop.reply(tenant, shop.person(tenant))
        shop.wait_until_settled()  # the CRM's fields are known from here on
        rules = [{"from": source, "to": names[source], "values": {word: "Sunny"}} for source, word in said.items()]
        shop.map_contact(tenant, *rules)
        message = shop.house.message(tenant.organization, shop.person(tenant), body="body mapped.")
        shop.house.connection.execute(
            "insert into message_classifications (message_id, intent, sentiment, priority, next_action) "
            "values (%s, 'question', 'positive', 'high', 'call')",
            [message],
        )
        shop.wait_until_settled()
    chosen = [
        tuple(tenant.account.chosen(id_, each) for each in names.values()) for id_ in tenant.account.ids("contact")
    ]
    assert chosen == [(None,) * 3, ("Sunny",) * 3]
    shop.assert_exact(tenant)


def test_a_mapping_that_the_crm_breaks_later_is_named_with_the_values_there_are(
    each_shop: Shop, database: str, tmp_path: Path
) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    name = tenant.account.offer("Tone", "Sunny", "Gloomy")
    with process(tmp_path, database):
        shop.reply(tenant, shop.person(tenant))
        shop.wait_until_settled()
        shop.map_contact(tenant, {"value": "Sunny", "to": name})
        shop.reply(tenant, shop.person(tenant))
        shop.wait_until_settled()
        assert set(shop.statuses()) == {"completed"}
        tenant.account.offer("Tone", "Bright", "Gloomy")
        shop.reply(tenant, shop.person(tenant))
        mappings = "select field, allowed_labels from crm_sync.failures where kind = 'mapping'"
        broken = eventually(lambda: shop.house.rows(mappings), "a mapping at fault")
        assert broken == [(name, ["Bright", "Gloomy"])]
        rows = "select queue_type, field, allowed_labels from crm_sync.failures where kind = 'rejected'"
        assert shop.house.rows(rows) == [("contact_sync", name, ["Bright", "Gloomy"])]
        shop.map_contact(tenant, {"value": "Bright", "to": name})
        shop.house.connection.execute("select crm_sync.retry_failed(%s)", [tenant.integration])
        shop.wait_until_settled()
    assert set(shop.statuses()) == {"completed"}
    shop.assert_exact(tenant)
