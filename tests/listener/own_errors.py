"""What goes wrong on our side of a connection, and what leaves one waiting for a person: by its row in the registry."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import LiteralString

from psycopg import sql

from tests.house import KEY
from tests.listener.shop import Shop, Tenant
from tests.sql.daemon import Daemon

FAULTY, MISSING = "faulty", "nosuchcrm"
OTHER_KEY = "a-key-that-no-daemon-has-0123456789-abcdefghij"


Prepare = Callable[[Shop], Tenant]
"""Makes a connection, and brings it into a state."""


def _with_reply(shop: Shop, tenant: Tenant) -> Tenant:
    shop.reply(tenant)
    return tenant


def _of_provider(shop: Shop, name: str) -> Tenant:
    """A connection to a CRM that the house knows by name."""
    shop.house.connection.execute(
        "insert into public.integration_providers (name, display_name, auth_type, config) "
        "select %s, %s, auth_type, config from public.integration_providers where name = 'hubspot'",
        [name, name.title()],
    )
    organization = shop.house.organization()
    integration = shop.house.integration(organization, name)
    return _with_reply(shop, Tenant(organization, integration, shop.kit.account(shop.crm, shop.url)))


def budget_spent(shop: Shop) -> Tenant:
    """The day's calls, by other daemons."""
    tenant = shop.tenant()
    shop.house.connection.execute(
        "insert into crm_sync.budgets (organization_id, integration_id, name, theoretical_at) "
        "values (%s, %s, 'static', now() + interval '1 hour')",
        [tenant.organization, tenant.integration],
    )
    return _with_reply(shop, tenant)


def database_refuses(shop: Shop) -> Tenant:
    """A table takes nothing of this connection, as where somebody has put a rule of their own on it."""
    tenant = shop.tenant()
    shop.house.connection.execute(
        "create function public.refuse() returns trigger language plpgsql as "
        "$$ begin raise exception 'this table is closed' using errcode = 'P0001'; end $$"
    )
    shop.house.connection.execute(
        sql.SQL(
            "create trigger refuse before insert on crm_sync.budgets for each row when (new.integration_id = {}) "
            "execute function public.refuse()"
        ).format(sql.Literal(tenant.integration))
    )
    return _with_reply(shop, tenant)


def sealed_with_another_key(shop: Shop) -> Tenant:
    house, tenant = shop.house, shop.tenant()
    shop.house.connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [OTHER_KEY])
    shop.connect(tenant)
    house.connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [KEY])
    return _with_reply(shop, tenant)


def _without_triggers(shop: Shop, change: LiteralString, *arguments: object) -> None:
    """A change that the trigger would refuse."""
    shop.house.connection.execute("set session_replication_role = replica")
    shop.house.connection.execute(change, arguments)
    shop.house.connection.execute("reset session_replication_role")


def damaged(shop: Shop) -> Tenant:
    tenant = shop.tenant()
    _without_triggers(
        shop,
        "update user_integrations set credentials = left(credentials, -12) || 'AAAAAAAAAAAA' where id = %s",
        tenant.integration,
    )
    return _with_reply(shop, tenant)


def no_credentials(shop: Shop) -> Tenant:
    tenant = shop.tenant()
    _without_triggers(shop, "update user_integrations set credentials = null where id = %s", tenant.integration)
    return _with_reply(shop, tenant)


def refresh_under_way(shop: Shop) -> Tenant:
    """Another daemon has begun, and does not end."""
    tenant = shop.tenant(oauth=True, expires_at=time.time() - 10)
    begun = shop.house.value(
        "select crm_sync.begin_refresh(i.id, i.credentials_version, '10 minutes') from user_integrations as i "
        "where i.id = %s",
        tenant.integration,
    )
    assert begun == "yours"
    return _with_reply(shop, tenant)


def no_app(shop: Shop) -> Tenant:
    return _with_reply(shop, shop.tenant(oauth=True, expires_at=time.time() - 10))


def static_token_refused(shop: Shop) -> Tenant:
    tenant = shop.tenant()
    shop.house.connection.execute(
        "update user_integrations set credentials = %s where id = %s",
        ['{"access_token": "pat-wrong"}', tenant.integration],
    )
    return _with_reply(shop, tenant)


def another_account(shop: Shop) -> Tenant:
    """The ids that we hold are of an account that these credentials do not lead to."""
    tenant = shop.tenant(account_id="77", account_name="The former one")
    return _with_reply(shop, tenant)


def said_to_be_broken(shop: Shop) -> Tenant:
    """The host application says so, and not why."""
    tenant = shop.tenant()
    shop.house.connection.execute(
        "update user_integrations set status = 'error', last_error = 'ask Ada' where id = %s", [tenant.integration]
    )
    return _with_reply(shop, tenant)


def deadly_row(shop: Shop) -> Tenant:
    """A row in whose company one daemon after the other was lost."""
    tenant = shop.tenant()
    integration = _with_reply(shop, tenant).integration
    lost = Daemon(shop.house)
    assert lost.answer(integrations=[integration])[0] is not None
    shop.house.connection.execute("update sync_queue set losses = 9 where integration_id = %s", [integration])
    shop.house.connection.execute(
        "update crm_sync.batches set lease_until = now() - interval '1 s' where integration_id = %s", [integration]
    )
    return tenant


def _settings(**chosen: object) -> Prepare:
    """Somebody chose this before the CRM had told what there is."""

    def prepare(shop: Shop) -> Tenant:
        tenant = shop.tenant()
        shop.house.connection.execute(
            "update user_integrations set sync_settings = sync_settings || %s where id = %s",
            [json.dumps(chosen), tenant.integration],
        )
        return _with_reply(shop, tenant)

    return prepare


def rule_to_nowhere(shop: Shop) -> Tenant:
    tenant = shop.tenant()
    shop.map_contact(tenant, {"from": "phone", "to": "shoe_size"})
    return _with_reply(shop, tenant)


OWN: Mapping[str, Prepare] = {
    "OWN_BUDGET": budget_spent,
    "OWN_DATABASE": database_refuses,
    "OWN_KEY": sealed_with_another_key,
    "OWN_FAULT": lambda shop: _of_provider(shop, FAULTY),
    "REFRESH_UNDER_WAY": refresh_under_way,
    "NO_CREDENTIALS": no_credentials,
    "CREDENTIALS_DAMAGED": damaged,
    "NOT_REFRESHABLE": static_token_refused,
    "NO_APP": no_app,
    "NO_SUCH_PROVIDER": lambda shop: _of_provider(shop, MISSING),
    "unauthorized": static_token_refused,
    "other_account": another_account,
    "CONNECTION": said_to_be_broken,
    "OTHER": deadly_row,
    "status_values": _settings(status_values={"new": "NOBODY"}),
    "deal_pipeline": _settings(deal_pipeline="Nobody's"),
    "deal_stage": _settings(deal_stage="Nowhere"),
    "MAPPING": rule_to_nowhere,
}
"""By row; what a connection meets is in `crm_sync.failures` once a daemon has been at it."""
EARLY = {"OTHER"}
"""Prepared before the daemon begins."""
