"""What Pipedrive refuses, and why: by the code that it then has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.pipedrive.company import Company
from tests.providers.causes.scene import Cause, Met, Scene, dead_grant, refreshed_as
from tests.providers.samples_pipedrive import Person, PipedriveAccount

HERE = "http://127.0.0.1/back"
PERSONS = "/api/v2/persons"
CALLS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "ERR_SCHEMA_VALIDATION_FAILED": ("POST", PERSONS, {"json": {"name": 7}}),
    "ERR_BAD_REQUEST": ("POST", PERSONS, {"json": []}),
    "ERR_NOT_FOUND": ("PATCH", f"{PERSONS}/999999", {"json": {"name": "x"}}),
    "ERR_UNSUPPORTED_MEDIA_TYPE": ("POST", PERSONS, {}),
    "HTTP_405": ("PUT", PERSONS, {"json": {}}),
    "HTTP_410": ("GET", "/api/v1/persons", {}),
}
"""Calls that this version does not make, or not of an account that is as it should be."""


def _call(method: str, path: str, given: dict[str, Any]) -> Cause:
    async def meet(scene: Scene) -> Met:
        return await scene.call(await scene.shared(PipedriveAccount), method, path, **given)

    return meet


def _state(change: Callable[[Company], object]) -> Cause:
    """A person is sent to a company in this state."""

    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(PipedriveAccount)
        change(account.company)
        return await scene.push(account)

    return meet


def _value(kind: str, value: str, **more: Any) -> Cause:
    """A custom field of this kind gets a value."""

    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(PipedriveAccount)
        person = Person(account)
        field = person.create("personFields", field_name="Temperature", field_type=kind, **more)
        person.close()
        return await scene.push_value(account, field["field_code"], value)

    return meet


async def token_of_a_copy(scene: Scene) -> Met:
    """Somebody else has refreshed with the same token before."""
    account = await scene.fresh(PipedriveAccount)
    account.pipedrive.grants.refresh(account.company.refresh_token)
    return await scene.refresh(account)


async def old_code(scene: Scene) -> Met:
    account = await scene.shared(PipedriveAccount)
    code = account.pipedrive.grants.grant_code(account.company, HERE)
    scene.clock.seconds += 301
    return await scene.exchange(account, code, HERE)


async def no_grant_type(scene: Scene) -> Met:
    account = await scene.shared(PipedriveAccount)
    return await scene.post_form(account, account.config.token_url, {"x": "y"})


async def unknown_grant_type(scene: Scene) -> Met:
    account = await scene.shared(PipedriveAccount)
    return await scene.post_form(account, account.config.token_url, {"grant_type": "password"})


async def expired_again(scene: Scene) -> Met:
    account = await scene.fresh(PipedriveAccount)
    return await scene.with_spoilt_tokens(account, "/api/v1/users/me", lambda _: account.expire())


async def member_of_contact_sync(scene: Scene) -> Met:
    return await scene.push_value(await scene.shared(PipedriveAccount), "birthday", "1815-12-10")


async def impatience(scene: Scene) -> Met:
    """Calls went on in spite of 429."""
    account = await scene.fresh(PipedriveAccount)
    with scene.clock.still():
        _call_often(account.company)
        for _ in range(10):
            await scene.call(account, "GET", "/api/v1/users/me")
        return await scene.push(account)


async def too_often(scene: Scene) -> Met:
    account = await scene.fresh(PipedriveAccount)
    with scene.clock.still():
        _call_often(account.company)
        return await scene.push(account)


def _call_often(company: Company) -> None:
    """Another app of the same user has used all that there was."""
    while company.oauth_burst.take(company.clock()):
        pass


def _spend(company: Company) -> None:
    company.tokens.tokens = 0


def _stop_paying(company: Company) -> None:
    company.is_paid = False


def _without(scope: str) -> Callable[[Company], object]:
    def change(company: Company) -> None:
        company.scopes = tuple(each for each in company.scopes if not each.startswith(scope))

    return change


CAUSES: Mapping[str, Cause] = {
    **{code: _call(*given) for code, given in CALLS.items()},
    "invalid_grant": dead_grant(PipedriveAccount),
    "ALREADY_EXCHANGED": token_of_a_copy,
    "CODE_EXPIRED": old_code,
    "invalid_client": refreshed_as(PipedriveAccount, client_secret="wrong"),
    "invalid_request": no_grant_type,
    "unsupported_grant_type": unknown_grant_type,
    "HTTP_401": expired_again,
    "ERR_FORBIDDEN": member_of_contact_sync,
    "HTTP_402": _state(_stop_paying),
    "SCOPE_MISMATCH": _state(_without("contacts:")),
    "CLOUDFLARE_403": impatience,
    "BURST_LIMIT": too_often,
    "DAILY_BUDGET": _state(_spend),
    "INVALID_OPTION": _value("enum", "Mild", options=[{"label": "Cold"}, {"label": "Hot"}]),
    "INVALID_VALUE": _value("double", "warm"),
}
