"""Credentials as host applications write them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from providers.account import AccountFacts
from providers.config import ProviderConfig
from providers.credentials import Credentials, account_url, host_of, login_at
from providers.errors import Unauthorized

CONFIG = ProviderConfig(
    api_base_url="https://login.salesforce.com",
    api_version="v68.0",
    auth_url="https://login.salesforce.com/services/oauth2/authorize",
    token_url="https://login.salesforce.com/services/oauth2/token",
    revoke_url="https://login.salesforce.com/services/oauth2/revoke",
    api_hosts=("*.salesforce.com", "*.force.com"),
    login_hosts=("*.salesforce.com",),
    account_hosts=("*.crm.example",),
)
SANDBOX = CONFIG.model_copy(update={"api_base_url": "http://127.0.0.1:8000/salesforce"})


@pytest.mark.parametrize(
    "written",
    [1_798_675_200, 1_798_675_200_000, "1798675200", "2026-12-31T00:00:00Z", "2026-12-31T01:00:00+01:00"],
)
def test_an_expiry_may_be_written_in_any_usual_way(written: object) -> None:
    assert Credentials.model_validate({"access_token": "t", "expires_at": written}).expires_at == 1_798_675_200


def test_an_expiry_that_is_no_time_is_refused_without_its_token() -> None:
    with pytest.raises(ValidationError) as refused:
        Credentials.model_validate({"access_token": "canary-token", "expires_at": "soon"})
    assert "canary-token" not in repr(refused.value.errors(include_input=False))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:5432",
        "http://localhost",
        "https://[::1]:443",
        "http://acme.my.salesforce.com",
        "https://salesforce.com.evil.example",
        "https://evil.example#.salesforce.com",
        "https://user:word@acme.my.salesforce.com",
        "javascript://acme.my.salesforce.com/%0aalert(1)",
        "file:///etc/passwd",
        "//acme.my.salesforce.com",
        "",
    ],
)
def test_a_token_goes_to_no_place_but_the_crms(url: str) -> None:
    with pytest.raises(Unauthorized):
        host_of(url, CONFIG, "salesforce")
    assert account_url(url, CONFIG, "salesforce") is None


def test_this_machine_is_the_crm_only_where_the_config_says_so() -> None:
    assert host_of("http://127.0.0.1:9/x/", SANDBOX, "salesforce") == "http://127.0.0.1:9/x"
    with pytest.raises(Unauthorized):
        login_at(SANDBOX, "http://127.0.0.1:9", "salesforce")
    assert login_at(SANDBOX, "http://127.0.0.1:8000", "salesforce").token_url == (
        "http://127.0.0.1:8000/services/oauth2/token"
    )


def test_people_may_open_an_account_where_no_token_goes() -> None:
    assert account_url("https://app.crm.example/", CONFIG, "salesforce") == "https://app.crm.example"
    assert account_url(7, CONFIG, "salesforce") is None
    with pytest.raises(Unauthorized):
        host_of("https://app.crm.example", CONFIG, "salesforce")


def test_who_logs_in_elsewhere_has_all_of_oauth_there() -> None:
    moved = login_at(CONFIG, "test.salesforce.com", "salesforce")
    assert moved.auth_url == "https://test.salesforce.com/services/oauth2/authorize"
    assert moved.token_url == "https://test.salesforce.com/services/oauth2/token"
    assert moved.revoke_url == "https://test.salesforce.com/services/oauth2/revoke"
    assert moved.api_base_url == CONFIG.api_base_url
    assert login_at(CONFIG, "  ", "salesforce") is CONFIG
    assert login_at(CONFIG, None, "salesforce") is CONFIG
    with pytest.raises(Unauthorized):
        login_at(CONFIG.model_copy(update={"login_hosts": ()}), "test.salesforce.com", "hubspot")


@pytest.mark.parametrize("id_", ["", "a b", "1;drop", "<b>", "x" * 101, "\n1"])
def test_an_account_without_a_proper_id_is_none(id_: str) -> None:
    with pytest.raises(ValidationError):
        AccountFacts(id=id_)


def test_the_name_of_an_account_is_one_line_that_steers_nothing() -> None:
    assert AccountFacts(id="1", name="A\tB\x1b[2J\u202eC\u200b \ud800D\n").name == "A B [2J C D"
    assert AccountFacts(id="1", name="\u200b").name is None
    assert AccountFacts(id="1", name="x" * 900).name == "x" * 200
