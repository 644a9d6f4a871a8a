"""What no CRM has said: each such row of `crm_sync.errors` is what a daemon meets, and explains it."""

from __future__ import annotations

import sys
import types
from contextlib import suppress
from typing import Any, LiteralString

import pytest

from listener import tokens
from tests.house import eventually
from tests.listener.daemons import daemon
from tests.listener.own_errors import EARLY, FAULTY, MISSING, OWN
from tests.listener.shop import Shop
from tests.listener.test_failures import FaultyClient
from tests.listener.test_tokens import wait_for_error

# A failure, and the row of the registry whose words it shows.
MET = """
select f.integration_id, e.code
from crm_sync.failures as f
join crm_sync.errors as e on e.provider = '' and e.code = coalesce(f.code, upper(f.kind)) and e.kind = f.kind
where f.is_known and f.meaning = e.meaning and f.who_must_act = e.who_must_act
  and replace(f.remedy, format('retry_failed(%%s)', f.integration_id), 'retry_failed()') = e.remedy
"""


# What the remedies of the registry ask of a person, once the daemon has its client id again.
MADE_ANEW = ("NO_CREDENTIALS", "CREDENTIALS_DAMAGED", "NOT_REFRESHABLE", "unauthorized")
ACTED_ON: dict[str, LiteralString] = {
    "NO_APP": "select crm_sync.try_again(%s)",
    "CONNECTION": "select crm_sync.try_again(%s)",
    "OTHER": "select crm_sync.retry_failed(%s)",
    "other_account": "select crm_sync.adopt_account(%s, false)",
}
# What a person reads on the connection, and whom all that does not concern.
WORDS = {
    "NO_APP": "HUBSPOT_CLIENT_ID",
    "NOT_REFRESHABLE": "no refresh token",
    "CREDENTIALS_DAMAGED": "damaged",
    "NO_SUCH_PROVIDER": MISSING,
}
UNHARMED = ("MAPPING", "deal_pipeline")


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider's module that raises."""
    module: Any = types.ModuleType(f"providers.{FAULTY}")
    module.Client = FaultyClient
    module.__spec__ = types.SimpleNamespace(name=module.__name__)
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("faulty")
def test_a_daemon_meets_all_that_it_finds_by_itself_and_the_remedies_help(
    shop: Shop, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "OTHER_DAEMON_SECONDS", 0.3)
    tenants = {name: OWN[name](shop) for name in EARLY}
    with daemon(database, apps={}):
        tenants |= {name: prepare(shop) for name, prepare in OWN.items() if name not in EARLY}

        def unmet() -> set[str]:
            met = shop.house.rows(MET)
            return {name for name, tenant in tenants.items() if (tenant.integration, name) not in met}

        with suppress(AssertionError):
            eventually(lambda: not unmet(), "all errors")
        assert unmet() == set()
        for name, words in WORDS.items():
            assert words in wait_for_error(shop, tenants[name])
        shop.wait_until_settled(*(tenants[name] for name in UNHARMED))
    with daemon(database):
        for name in MADE_ANEW:
            shop.connect(tenants[name])
        for name, action in ACTED_ON.items():
            assert shop.house.value(action, tenants[name].integration)
        helped = [tenants[name] for name in (*MADE_ANEW, *ACTED_ON)]
        shop.hurry_until_settled(*helped)
    assert {status for tenant in helped for status in shop.statuses(tenant)} == {"completed"}
