"""Every error that a CRM documents, met once: what our clients make of it is what `crm_sync.errors` says."""

from __future__ import annotations

import importlib
import itertools
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from providers import oauth
from providers.codes import OwnCode, of_network
from providers.credentials import host_of
from providers.errors import CONTACT_GONE, ProviderError
from providers.hubspot_errors import contact_gone, error_of
from providers.models import ContactDocument, ProviderConfig
from sandbox.documented import Documented
from sandbox.faults import Fault
from sql.migrate import ROOT
from tests.postgres import TestServer
from tests.providers.conftest import Samples
from tests.providers.contract import Account, Sample, new_account, push
from tests.providers.samples_hubspot import HubSpotAccount

NAMES = ("hubspot", "salesforce", "pipedrive")
ERRORS: dict[str, Mapping[str, Documented]] = {
    name: importlib.import_module(f"sandbox.{name}.documented").ERRORS for name in NAMES
}
# What no answer of the CRM's can bring about: our clients find it themselves.
OURS = {
    ("hubspot", "ADDRESS_TAKEN"),
    ("hubspot", "NO_OPEN_STAGE"),
    ("hubspot", "PROPERTY_NOT_UNIQUE"),
    ("pipedrive", "INVALID_OPTION"),
    ("pipedrive", "INVALID_VALUE"),
}
# What is found before or after any call; the tests of the daemon and of deals have them.
OF_THE_DAEMON = {
    *("OWN_BUDGET", "OWN_DATABASE", "OWN_KEY", "OWN_FAULT", "REFRESH_UNDER_WAY", "NO_CREDENTIALS"),
    *("CREDENTIALS_DAMAGED", "NOT_REFRESHABLE", "NO_APP", "NO_SUCH_PROVIDER", "LEAD_TAKES_NO_OPPORTUNITY"),
}
_numbers = itertools.count(1001)
# Too often for a client that tries again: after a refresh, with its own fields made, as a new record.
OFTEN = 8

Registry = Mapping[tuple[str, str], tuple[str, int | None]]


@pytest.fixture(scope="session")
def registry(postgres: TestServer, template: str) -> Registry:
    """Kind and status of each row, by provider and code."""
    with psycopg.connect(template, autocommit=True) as connection:
        rows = connection.execute("select provider, code, kind, status from crm_sync.errors").fetchall()
    return {(provider, code): (kind, status) for provider, code, kind, status in rows}


@pytest.fixture(scope="session")
def accounts() -> dict[str, Account]:
    """One account of each CRM for all of these tests."""
    return {}


@pytest.fixture
async def account(request: pytest.FixtureRequest, samples: Samples, accounts: dict[str, Account]) -> Account:
    name = request.getfixturevalue("provider") if "provider" in request.fixturenames else "hubspot"
    if name not in accounts:
        accounts[name] = await new_account(samples[name])
    return accounts[name]


def emulator(account: Account) -> tuple[Any, int]:
    """The emulator and the number of an account in it."""
    for crm, held, number in (("hubspot", "portal", "hub_id"), ("salesforce", "org", "number")):
        if hasattr(account, crm):
            return getattr(account, crm), getattr(getattr(account, held), number)
    return account.pipedrive, account.company.number  # type: ignore[attr-defined]


def somebody(sample: Sample, number: int) -> ContactDocument:
    email = f"person-{number}@example.com"
    return ContactDocument(
        rows=(number,),
        contact_id=UUID(int=number),
        email=email,
        fields=sample.contact_fields(email, "Ada", "Lovelace"),
        queued_at=datetime.now(UTC),
    )


async def met(sample: Sample, account: Account, config: ProviderConfig | None = None) -> tuple[str, str, int | None]:
    """Kind, code and status of what became of one contact that was pushed."""
    own, account.config = account.config, config or account.config
    try:
        pushed = await push(sample, account, document := somebody(sample, next(_numbers)))
    finally:
        account.config = own
    failure = pushed.of(document).failure
    assert failure is not None, "it arrived"
    assert failure.code is not None
    return failure.kind.value, failure.code, failure.status


async def met_by_refresh(account: Account) -> tuple[str, str, int | None]:
    async with httpx.AsyncClient() as http:
        with pytest.raises(ProviderError) as caught:
            await account.renew(http)
    return caught.value.kind.value, str(caught.value.code), caught.value.status


@pytest.mark.parametrize(
    ("provider", "code"), [(name, code) for name, errors in ERRORS.items() for code in errors], ids=str
)
async def test_what_our_client_makes_of_a_documented_error_is_what_the_registry_says(
    provider: str, code: str, samples: Samples, account: Account, registry: Registry
) -> None:
    crm, number = emulator(account)
    crm.refuse(number, code, times=OFTEN)
    try:
        if ERRORS[provider][code].at == "token":
            kind, found, status = await met_by_refresh(account)
        else:
            kind, found, status = await met(samples[provider], account)
    finally:
        crm.faults.clear()
        for held in (getattr(account, "portal", None), getattr(account, "org", None)):
            if held is not None:
                held.refusals.clear()
    expected_kind, expected_status = registry[provider, code]
    assert (kind, found) == (expected_kind, code)
    if ERRORS[provider][code].at != "row":
        assert status in (expected_status, ERRORS[provider][code].status)


def test_each_row_of_a_crm_is_met_by_an_emulator(registry: Registry) -> None:
    rows = {(provider, code) for provider, code in registry if provider and not code.endswith("*")}
    assert rows - OURS == {(name, code) for name, errors in ERRORS.items() for code in errors}


def test_each_row_of_ours_is_met_here_or_needs_no_call(registry: Registry) -> None:
    kinds = {"connection", "mapping"}
    rows = {code for (provider, code), (kind, _) in registry.items() if not provider and kind not in kinds}
    unnamed = {"REJECTED", "CONTENDED", "RATE_LIMITED", "UNAVAILABLE", "UNAUTHORIZED", "BUG", "OTHER"}
    rows = {code for code in rows if not code.endswith("*")} - unnamed - OF_THE_DAEMON
    assert rows == {
        *STANDARD,
        *STATUSES,
        *WAYS,
        "NO_SUCH_PATH",
        CONTACT_GONE,
        "FOREIGN_HOST",
        "NO_ACCESS_TOKEN",
        *NETWORK,
    }


STANDARD = {"invalid_grant", "invalid_client", "unauthorized_client", "invalid_request", "unsupported_grant_type"}
STANDARD |= {"invalid_scope", "access_denied"}
STATUSES = {
    f"HTTP_{status}": Fault(
        path="batch/upsert$",
        times=OFTEN,
        status=status,
        body={"status": "error", "message": "no", "correlationId": "c-1"},
    )
    for status in (400, 401, 403, 405, 408, 409, 413, 415, 422, 423, 429)
}
LARGE = '{"results": [], "more": "' + 17 * 1024 * 1024 * "x" + '"}'
WAYS: dict[str, Fault] = {
    "TIMEOUT": Fault(path="batch/upsert$", times=OFTEN, delay=0.5),
    "CUT_OFF": Fault(path="batch/upsert$", times=OFTEN, cut_body=True),
    "NOT_JSON": Fault(path="batch/upsert$", times=OFTEN, html=True),
    "NOT_THE_API": Fault(path="batch/upsert$", times=OFTEN, html=True, status=400),
    "TOO_LARGE": Fault(path="batch/upsert$", times=1, status=200, body=LARGE),
    "UNEXPECTED_ANSWER": Fault(path="batch/upsert$", times=OFTEN, status=200, body={"result": []}),
    "NO_OUTCOME": Fault(path="batch/upsert$", times=OFTEN, status=200, body={"status": "COMPLETE", "results": []}),
}
NETWORK = {"NO_SUCH_HOST", "UNREACHABLE", "TLS_FAILED"}


@pytest.mark.parametrize("code", [*STATUSES, *WAYS])
async def test_a_status_without_a_code_and_a_bad_way_have_codes_of_ours(
    code: str, samples: Samples, account: Account, registry: Registry
) -> None:
    assert isinstance(account, HubSpotAccount)
    account.hubspot.faults.add({**STATUSES, **WAYS}[code])
    config = account.config.model_copy(update={"timeout_seconds": 0.1}) if code == "TIMEOUT" else None
    try:
        kind, found, _ = await met(samples["hubspot"], account, config)
    finally:
        account.calm()
    assert (kind, found) == (registry["", code][0], code)


async def test_a_host_that_is_not_there_and_one_that_refuses_are_told_apart(
    samples: Samples, account: Account, registry: Registry
) -> None:
    url = httpx.URL(account.config.api_base_url)
    ways = {
        "NO_SUCH_HOST": "http://crm.invalid",
        "UNREACHABLE": "http://127.0.0.1:9",
        "TLS_FAILED": str(url.copy_with(scheme="https")),
    }
    for code, address in ways.items():
        config = account.config.model_copy(update={"api_base_url": address})
        kind, found, _ = await met(samples["hubspot"], account, config)
        assert (kind, found) == (registry["", code][0], code)


async def test_a_version_that_is_not_there_is_a_path_that_is_not_there(
    samples: Samples, account: Account, registry: Registry
) -> None:
    config = account.config.model_copy(update={"api_version": "2020-01"})
    assert (await met(samples["hubspot"], account, config))[:2] == (registry["", "NO_SUCH_PATH"][0], "NO_SUCH_PATH")


async def test_the_token_endpoint_has_the_same_codes(account: Account) -> None:
    assert isinstance(account, HubSpotAccount)
    for fault, code in (
        (Fault(path="/token$", html=True), "NOT_JSON"),
        (Fault(path="/token$", cut=True), "CUT_OFF"),
        (Fault(path="/token$", html=True, status=404), "NOT_THE_API"),
        (Fault(path="/token$", html=True, status=503), "HTTP_503"),
        (Fault(path="/token$", status=200, body={"token_type": "bearer"}), "NO_ACCESS_TOKEN"),
    ):
        account.hubspot.faults.add(fault)
        assert (await met_by_refresh(account))[1] == code


def test_a_place_that_is_none_of_the_crms_is_named() -> None:
    config = ProviderConfig(
        api_base_url="https://api.crm.example",
        auth_url="https://crm.example/a",
        token_url="https://crm.example/t",
        api_version="v1",
    )
    with pytest.raises(ProviderError) as caught:
        host_of("https://evil.example", config, "salesforce")
    assert caught.value.code == "FOREIGN_HOST"


def test_a_contact_that_is_gone_has_a_code_of_its_own() -> None:
    body = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Contact 7 not found", "correlationId": "c"}
    request = httpx.Request("POST", "https://api.hubapi.com/x")
    assert contact_gone(error_of(httpx.Response(404, json=body, request=request))).code == CONTACT_GONE


def test_network_errors_are_told_apart_by_their_causes() -> None:
    untrusted = httpx.ConnectError("x")
    untrusted.__cause__ = ssl.SSLCertVerificationError("y")
    assert of_network(untrusted) is OwnCode.TLS_FAILED
    assert of_network(httpx.ConnectTimeout("x")) is OwnCode.UNREACHABLE
    assert of_network(httpx.ReadTimeout("x")) is OwnCode.TIMEOUT
    assert of_network(httpx.ReadError("x")) is OwnCode.CUT_OFF


async def test_every_code_that_the_standard_has_is_understood_also_in_words(registry: Registry) -> None:
    said = {
        **{code: code for code in STANDARD},
        "Invalid grant: refresh_token is invalid": "invalid_grant",
        "Invalid grant: authorization_code has expired": "CODE_EXPIRED",
        "Missing parameter: grant_type": "invalid_request",
        "Invalid client: client is invalid": "invalid_client",
    }
    for words, code in said.items():
        answer = httpx.MockTransport(lambda request, words=words: httpx.Response(400, json={"error": words}))
        config = ProviderConfig(
            api_base_url="https://a.test", auth_url="https://a.test/a", token_url="https://a.test/t", api_version="v1"
        )
        async with httpx.AsyncClient(transport=answer) as http:
            with pytest.raises(ProviderError) as caught:
                await oauth.refresh(config, "app", SecretStr("s"), SecretStr("r"), http)
        kind = registry.get(("", code), ("unauthorized", None))[0]
        assert (caught.value.kind, caught.value.code) == (kind, code)


def test_every_code_that_is_written_in_the_code_has_a_row(registry: Registry) -> None:
    known, text = {code for _, code in registry}, ""
    for folder in ("providers", "listener"):
        for path in sorted((ROOT.parent / folder).glob("*.py")):
            if path.name != "codes.py":
                text += path.read_text()
    assert set(re.findall(r'code="([A-Z_]+)"', text)) <= known
    named = set(re.findall(r"OwnCode\.([A-Z_0-9]+)", text))
    assert named | NETWORK | {"CUT_OFF"} == {code.name for code in OwnCode}, "and none is there that nobody uses"
