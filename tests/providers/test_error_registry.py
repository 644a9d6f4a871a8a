"""Every row of `crm_sync.errors`, met once: what our clients make of it is what the registry says."""

from __future__ import annotations

import importlib
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from providers import oauth
from providers.codes import OwnCode, of_network
from providers.config import ProviderConfig
from providers.errors import ProviderError
from sandbox import hubspot, pipedrive, salesforce
from sandbox.documented import Documented
from sandbox.faults import Fault
from sandbox.server import serve
from sql.migrate import ROOT
from tests.listener.own_errors import OWN
from tests.providers import causes
from tests.providers.causes.anywhere import ANYWHERE, FAMILIES, OFTEN, STANDARD
from tests.providers.causes.scene import Ahead, Cause, Met, Scene
from tests.providers.conftest import Registry
from tests.providers.contract import Account
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample
from tests.providers.samples_pipedrive import PipedriveAccount, PipedriveSample
from tests.providers.samples_salesforce import SalesforceAccount, SalesforceSample

NAMES = ("hubspot", "salesforce", "pipedrive")
ERRORS: dict[str, Mapping[str, Documented]] = {
    name: importlib.import_module(f"sandbox.{name}.documented").ERRORS for name in NAMES
}
CAUSES: dict[tuple[str, str], Cause] = {
    (name, code): cause
    for name in NAMES
    for code, cause in importlib.import_module(f"{causes.__name__}.{name}").CAUSES.items()
}
"""What comes about by the state of an account, or by what is sent."""
SCRIPTED = [(name, code) for name in NAMES for code in ERRORS[name] if (name, code) not in CAUSES]
"""What an emulator is told to answer: outages, what stands before a CRM, and what is published without its cause."""


class Scenes:
    """The CRMs, each opened when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._opened: dict[str, Scene] = {}

    def __getitem__(self, name: str) -> Scene:
        if name not in self._opened:
            self._opened[name] = getattr(self, f"_{name}")(Ahead())
        return self._opened[name]

    def _hubspot(self, clock: Ahead) -> Scene:
        crm = hubspot.HubSpot(clock)
        sample = HubSpotSample(crm, self._stack.enter_context(serve(crm.app)).url)
        return Scene(sample, clock, crm.client_id, crm.client_secret)

    def _salesforce(self, clock: Ahead) -> Scene:
        crm = salesforce.Salesforce(clock)
        sample = SalesforceSample(crm, self._stack.enter_context(serve(crm.app)).url)
        return Scene(sample, clock, crm.client_id, crm.client_secret)

    def _pipedrive(self, clock: Ahead) -> Scene:
        crm = pipedrive.Pipedrive(clock, rotate_refresh_tokens=True)
        sample = PipedriveSample(crm, self._stack.enter_context(serve(crm.app)).url)
        return Scene(sample, clock, crm.client_id, crm.client_secret)


@pytest.fixture(scope="session")
def scenes() -> Iterator[Scenes]:
    with ExitStack() as stack:
        yield Scenes(stack)


def told(account: Account) -> tuple[Any, int, list[Any]]:
    """The emulator that is told what to answer, the number of an account in it, and what its next rows meet."""
    if isinstance(account, HubSpotAccount):
        return account.hubspot, account.portal.hub_id, account.portal.refusals
    if isinstance(account, SalesforceAccount):
        return account.salesforce, account.org.number, account.org.refusals
    assert isinstance(account, PipedriveAccount)
    return account.pipedrive, account.company.number, []


def test_all_rows_of_the_registry_are_met_and_nothing_else(registry: Registry) -> None:
    met = [*CAUSES, *SCRIPTED, *(("", code) for code in ANYWHERE), *FAMILIES, *(("", code) for code in OWN)]
    assert sorted(met) == sorted(registry)


@pytest.mark.parametrize(("provider", "code"), CAUSES, ids=str)
async def test_what_our_client_makes_of_a_cause_is_what_the_registry_says(
    provider: str, code: str, scenes: Scenes, registry: Registry
) -> None:
    met = await CAUSES[provider, code](scenes[provider])
    assert (met.kind.value, met.code) == (registry[provider, code][0], code), met


@pytest.mark.parametrize(("provider", "code"), SCRIPTED, ids=str)
async def test_what_our_client_makes_of_a_documented_error_is_what_the_registry_says(
    provider: str, code: str, scenes: Scenes, registry: Registry
) -> None:
    scene, document = scenes[provider], ERRORS[provider][code]
    account = await scene.shared(Account)  # type: ignore[type-abstract]
    crm, number, refusals = told(account)
    crm.refuse(number, code, times=OFTEN)
    try:
        met = await (scene.refresh(account) if document.at == "token" else scene.push(account))
    finally:
        account.calm()
        refusals.clear()
    kind, status = registry[provider, code]
    assert (met.kind.value, met.code) == (kind, code), met
    if document.at != "row":
        assert met.status in (status, document.status)


@pytest.mark.parametrize("code", ANYWHERE)
async def test_what_any_crm_may_answer_has_codes_of_ours(code: str, scenes: Scenes, registry: Registry) -> None:
    met = await ANYWHERE[code].meet(scenes[ANYWHERE[code].crm])
    assert (met.kind.value, met.code) == (registry["", code][0], code), met


async def test_a_row_for_several_codes_explains_each_of_them(scenes: Scenes, template: str) -> None:
    met: dict[tuple[str, str], Met] = {row: await at.meet(scenes[at.crm]) for row, at in FAMILIES.items()}
    with psycopg.connect(template, autocommit=True) as connection:
        for (provider, code), failure in met.items():
            at = FAMILIES[provider, code]
            assert failure.code == at.said, failure
            [(kind, meaning, remedy)] = connection.execute(
                "select kind, meaning, remedy from crm_sync.errors where (provider, code) = (%s, %s)", [provider, code]
            ).fetchall()
            [(says, does)] = connection.execute(
                "select meaning, remedy from crm_sync.failure_meaning(%s, %s, %s)", [at.crm, failure.kind, at.said]
            ).fetchall()
            assert (failure.kind, does) == (kind, remedy)
            assert says.endswith(meaning)


async def test_the_token_endpoint_has_the_same_codes(scenes: Scenes) -> None:
    account = await scenes["hubspot"].shared(HubSpotAccount)
    for fault, code in (
        (Fault(path="/token$", html=True), "NOT_JSON"),
        (Fault(path="/token$", cut=True), "CUT_OFF"),
        (Fault(path="/token$", html=True, status=404), "NOT_THE_API"),
        (Fault(path="/token$", html=True, status=503), "HTTP_503"),
    ):
        account.hubspot.faults.add(fault)
        assert (await scenes["hubspot"].refresh(account)).code == code


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
    of_httpx = {"NO_SUCH_HOST", "UNREACHABLE", "TLS_FAILED", "CUT_OFF"}
    assert named | of_httpx == {code.name for code in OwnCode}, "and none is there that nobody uses"
