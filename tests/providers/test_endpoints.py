"""Where a connection renews and ends its tokens: where it was made, and at none but the CRM's own hosts."""

from __future__ import annotations

from typing import Any

import pytest

from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.endpoints import revoke_url_of, token_url_of
from providers.errors import Unauthorized

SALESFORCE = ProviderConfig(
    api_base_url="https://login.salesforce.com",
    api_version="v68.0",
    auth_url="https://login.salesforce.com/services/oauth2/authorize",
    token_url="https://login.salesforce.com/services/oauth2/token",
    revoke_url="https://login.salesforce.com/services/oauth2/revoke",
    api_hosts=("*.salesforce.com", "*.force.com"),
)
TEST = "https://test.salesforce.com/services/oauth2"
MINE = "https://acme--dev.sandbox.my.salesforce.com"
SITE = "https://acme.my.site.force.com/partners/services/oauth2"


def credentials(**words: Any) -> Credentials:
    return Credentials.model_validate({"access_token": "a", "refresh_token": "r", **words})


@pytest.mark.parametrize(
    ("words", "base"),
    [
        ({}, "https://login.salesforce.com/services/oauth2"),
        ({"instance_url": "https://acme.my.salesforce.com"}, "https://login.salesforce.com/services/oauth2"),
        ({"token_url": f"{TEST}/token"}, TEST),
        ({"instance_url": MINE}, f"{MINE}/services/oauth2"),
        ({"instance_url": MINE, "token_url": f"{TEST}/token"}, TEST),
        ({"token_url": f"{SITE}/token"}, SITE),
    ],
)
def test_a_connection_ends_where_it_is_renewed(words: dict[str, Any], base: str) -> None:
    held = credentials(**words)
    assert token_url_of(held, SALESFORCE, "salesforce") == f"{base}/token"
    assert revoke_url_of(held, SALESFORCE, "salesforce") == f"{base}/revoke"


@pytest.mark.parametrize(
    "words",
    [
        {"token_url": "https://evil.example/services/oauth2/token"},
        {"token_url": "https://test.salesforce.com@evil.example/token"},
        {"instance_url": "https://a.sandbox.evil.example"},
        {"token_url": "http://test.salesforce.com/services/oauth2/token"},
    ],
)
def test_a_refresh_token_is_revoked_at_no_other_host(words: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized, match="not one of salesforce's"):
        revoke_url_of(credentials(**words), SALESFORCE, "salesforce")


def test_where_a_gateway_stands_before_the_crm_its_address_is_used() -> None:
    gateway = SALESFORCE.model_copy(
        update={
            "token_url": "http://gw:1/sf/services/oauth2/token",
            "revoke_url": "http://gw:1/sf/services/oauth2/revoke",
        }
    )
    held = credentials(token_url="http://gw:1/sf/services/oauth2/token")
    assert revoke_url_of(held, gateway, "salesforce") == "http://gw:1/sf/services/oauth2/revoke"


def test_a_crm_may_have_no_such_call() -> None:
    config = SALESFORCE.model_copy(update={"revoke_url": None})
    assert revoke_url_of(credentials(token_url="https://evil.example"), config, "salesforce") is None
