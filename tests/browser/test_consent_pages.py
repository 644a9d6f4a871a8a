"""The pages on which people let us into an emulated CRM, as they see them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox import hubspot, pipedrive, salesforce
from sandbox.server import serve
from tests.browser.scene import Sandbox
from tests.browser.tools import Watch, assert_accessible, assert_fits, tab_to


@dataclass(frozen=True)
class Case:
    """How an app asks one CRM, and how a denial is called there."""

    name: str
    title: str
    account: str
    allow: str
    path: str
    asked: dict[str, str]
    denial: str


PKCE = {"code_challenge": "c" * 43, "code_challenge_method": "S256", "response_type": "code"}
CASES = {
    "hubspot": Case(
        "hubspot",
        "HubSpot",
        "account",
        "Approve",
        "/oauth/authorize",
        {"client_id": hubspot.CLIENT_ID, "scope": "oauth crm.objects.contacts.read"},
        "access_denied",
    ),
    "salesforce": Case(
        "salesforce",
        "Salesforce",
        "org",
        "Allow",
        "/services/oauth2/authorize",
        {"client_id": salesforce.CLIENT_ID, "scope": "api refresh_token", **PKCE},
        "access_denied",
    ),
    "pipedrive": Case(
        "pipedrive",
        "Pipedrive",
        "company",
        "Approve",
        "/oauth/authorize",
        {"client_id": pipedrive.CLIENT_ID, "response_type": "code"},
        "user_denied",
    ),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest, sandbox: Sandbox) -> Case:
    """Each CRM with two accounts, one of which has a name to be careful with."""
    case = CASES[request.param]
    for name in ("Acme, Inc.", '<img src=x onerror="fail()"> & Co'):
        sandbox.crms[case.name].open_account({"name": name})
    return case


@pytest.fixture
def app() -> Iterator[str]:
    """The app that asks: where its callback is."""

    async def callback(_request: Request) -> Response:
        return HTMLResponse(
            "<!doctype html><html lang=en><title>Back</title><link rel=icon href='data:,'><h1>Back</h1>"
        )

    with serve(Starlette(routes=[Route("/callback", callback)])) as server:
        yield f"{server.url}/callback"


def ask(page: Page, sandbox: Sandbox, case: Case, app: str, **changes: str) -> None:
    asked = {**case.asked, "redirect_uri": app, "state": "s & 1", **changes}
    page.goto(f"{sandbox.url}/{case.name}{case.path}?{urlencode(asked)}")


def came_back(page: Page, app: str) -> dict[str, str]:
    """What the app was told."""
    page.wait_for_url(re.compile(re.escape(app)))
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_a_person_approves_for_the_account_of_their_choice(page: Page, sandbox: Sandbox, case: Case, app: str) -> None:
    ask(page, sandbox, case, app)
    expect(page).to_have_title(f"Allow access? · {case.title} sandbox")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"An app asks for access to {case.title}")
    expect(page.get_by_role("radio", name="Acme, Inc.")).to_be_checked()
    assert_accessible(page)
    assert_fits(page)
    page.get_by_role("radio", name="& Co").check()
    page.get_by_role("button", name=case.allow).click()
    answer = came_back(page, app)
    assert answer["state"] == "s & 1"
    assert answer["code"]


def test_a_person_denies(page: Page, sandbox: Sandbox, case: Case, app: str) -> None:
    ask(page, sandbox, case, app)
    page.get_by_role("button", name="Deny").click()
    answer = came_back(page, app)
    assert (answer["error"], answer["state"], "code" in answer) == (case.denial, "s & 1", False)


def test_the_keyboard_alone_opens_a_new_account_and_approves(
    page: Page, sandbox: Sandbox, case: Case, app: str
) -> None:
    ask(page, sandbox, case, app)
    tab_to(page, page.get_by_role("radio", name="Acme, Inc."))
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name=f"A new, empty {case.account}")).to_be_checked()
    name = page.get_by_role("textbox", name=f"Name of the new {case.account}")
    tab_to(page, name)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Globex")
    tab_to(page, page.get_by_role("button", name=case.allow))
    page.keyboard.press("Enter")
    assert came_back(page, app)["code"]
    assert [each["name"] for each in sandbox.crms[case.name].accounts()][2:] == ["Globex"]


def test_an_app_that_nobody_knows_is_told_to_a_person(
    page: Page, watch: Watch, sandbox: Sandbox, case: Case, app: str
) -> None:
    watch.forgive("status of 400")
    ask(page, sandbox, case, app, client_id="nobody's")
    expect(page.get_by_role("heading", level=1)).to_contain_text(case.title)
    expect(page.get_by_role("button")).to_have_count(0)
    assert_accessible(page)
