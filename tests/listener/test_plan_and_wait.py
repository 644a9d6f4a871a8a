"""What was planned is what the CRM then holds, and a barrier tells when."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from tests.listener.daemons import process
from tests.listener.shop import Shop, Tenant


def wait_for(shop: Shop, message: UUID) -> None:
    with shop.house.as_role("crm_sync_reader"):
        assert shop.house.value("select crm_sync.wait_for(%s)", message) is True


def plan(shop: Shop, tenant: Tenant, contact: UUID) -> dict[str, dict[str, Any]]:
    """The values to be written, by object and the CRM's name of the field."""
    planned: dict[str, dict[str, Any]] = {}
    with shop.house.as_role("crm_sync_reader"):
        rows = shop.house.rows(
            "select object, field, value from crm_sync.plan(%s, %s) where change <> 'kept out'",
            contact,
            tenant.integration,
        )
    for kind, name, value in rows:
        planned.setdefault(kind, {})[name] = value
    return planned


def sent(shop: Shop, kind: str) -> dict[str, Any]:
    """What the log says was sent last."""
    found: dict[str, Any] = shop.house.value(
        "select request_data from sync_activity_logs where activity_type = %s order by id desc limit 1", f"sync_{kind}"
    )
    return found


def held(shop: Shop, tenant: Tenant, contact: UUID) -> dict[str, str]:
    """What the CRM holds of a contact, as text, by the names that mappings use."""
    id_ = shop.house.value("select external_contact_id from contact_sync_mappings where contact_id = %s", contact)
    values = tenant.account.values("contact", id_)
    for name in ("email", "phone"):
        entries = values.get(f"{name}s")
        if isinstance(entries, list) and entries:
            values[name] = entries[0]["value"]
    return {name: str(value) for name, value in values.items()}


def test_the_crm_then_holds_what_was_planned(each_shop: Shop, database: str, tmp_path: Path) -> None:
    shop, tenant = each_shop, each_shop.tenant()
    with process(tmp_path, database):
        wait_for(shop, shop.reply(tenant))  # the CRM has told what fields it has
        shop.house.value("select crm_sync.pause(%s)", tenant.integration)
        contact = shop.person(tenant, first_name="Ada", email="Ada@Example.com", phone="+1 234", company="Engines")
        message = shop.reply(tenant, contact, "interested", attention=True)
        planned = plan(shop, tenant, contact)
        assert set(planned) == {"contact", "company", "deal", "activity", "task"}
        assert shop.statuses(tenant)["pending"] == 1
        shop.house.value("select crm_sync.resume(%s)", tenant.integration)
        wait_for(shop, message)
        assert planned["contact"] == sent(shop, "contact")
        assert planned["contact"] == shop.house.value(
            "select sync_data -> 'fields' from contact_sync_mappings where contact_id = %s", contact
        )
        assert planned["deal"] == sent(shop, "deal")
        now = held(shop, tenant, contact)
        assert {name: now[name] for name in planned["contact"]} == planned["contact"]
        found = tenant.account.found()
        assert "Engines" in found.companies
        assert [each.text for each in found.deals] == ["Ada - Email Lead"]
        body, subject = planned["activity"]["body"], planned["task"]["subject"]
        assert [body in each.text for each in found.notes].count(True) == 1
        assert subject in found.tasks[0].text

        # what has changed is planned as such, and only that arrives; a person's word stays where ours has not changed
        tenant.account.change("contact", tenant.account.ids("contact")[-1], **shop.kit.phone("+9 999"))
        shop.house.connection.execute("update contacts set last_name = 'King' where id = %s", [contact])
        with shop.house.as_role("crm_sync_reader"):
            changes = shop.house.rows(
                "select value #>> '{}', last_sent #>> '{}' from crm_sync.plan(%s, %s) "
                "where object = 'contact' and change = 'changed'",
                contact,
                tenant.integration,
            )
        assert len(changes) == 1
        planned = plan(shop, tenant, contact)
        shop.house.rows("select crm_sync.manual_sync(%s, %s)", tenant.organization, [contact])
        wait_for(shop, message)
    after = held(shop, tenant, contact)
    assert planned["contact"] == sent(shop, "contact")
    assert changes[0][0] in after.values()
    assert after["Phone" if shop.crm.name == "salesforce" else "phone"] == "+9 999"
    shop.assert_exact(tenant)
    with shop.house.as_role("crm_sync_reader"):
        answers = shop.house.rows("select has_arrived, answer from crm_sync.explain(%s)", message)
    assert [has_arrived for has_arrived, _ in answers] == [True] * 4
