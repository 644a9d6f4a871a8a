"""Why Salesforce gives no tokens, or takes one no more: by the code that it then has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.providers.causes.scene import Cause, Met, Scene, dead_grant, refreshed_as
from tests.providers.samples_salesforce import VERSION, SalesforceAccount

HERE = "http://127.0.0.1/back"
DATA = f"/services/data/{VERSION}"


async def old_code(scene: Scene) -> Met:
    account = await scene.shared(SalesforceAccount)
    code = account.salesforce.grants.grant_code(account.org, HERE, ("api",), "of-somebody")
    scene.clock.seconds += 901
    return await scene.exchange(account, code, HERE, "x")


async def no_verifier(scene: Scene) -> Met:
    account = await scene.shared(SalesforceAccount)
    code = account.salesforce.grants.grant_code(account.org, HERE, ("api",), "of-somebody")
    return await scene.exchange(account, code, HERE)


async def another_redirect(scene: Scene) -> Met:
    account = await scene.shared(SalesforceAccount)
    code = account.salesforce.grants.grant_code(account.org, HERE, ("api",), "of-somebody")
    return await scene.exchange(account, code, f"{HERE}/elsewhere", "x")


async def another_flow(scene: Scene) -> Met:
    account = await scene.shared(SalesforceAccount)
    return await scene.post_form(account, account.config.token_url, {"grant_type": "password"})


async def revoking_nothing(scene: Scene) -> Met:
    account = await scene.shared(SalesforceAccount)
    assert account.config.revoke_url is not None
    return await scene.post_form(account, account.config.revoke_url, {"token": "5Aep-of-nobody"})


async def expired_again(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    return await scene.with_spoilt_tokens(account, f"{DATA}/limits", lambda _: account.expire())


async def token_of_another_crm(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    account.kill()
    account.org.access_token = "pat-eu1-7"
    return await scene.call(account, "GET", f"{DATA}/limits", tokens=_Kept(account))


async def enormous_token(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    account.org.access_token = "00D!" + 16_380 * "x"
    return await scene.call(account, "GET", f"{DATA}/limits")


class _Kept:
    """A token, and no other when it is refused."""

    def __init__(self, account: SalesforceAccount) -> None:
        self._credentials = account.credentials()

    async def current(self) -> Any:
        return self._credentials

    async def refresh(self, stale: Any) -> Any:
        return stale


TOKENS: Mapping[str, Cause] = {
    "invalid_grant": dead_grant(SalesforceAccount),
    "CODE_EXPIRED": old_code,
    "invalid_client_id": refreshed_as(SalesforceAccount, client_id="nobody"),
    "invalid_client": refreshed_as(SalesforceAccount, client_secret="wrong"),
    "invalid_request": no_verifier,
    "redirect_uri_mismatch": another_redirect,
    "unsupported_grant_type": another_flow,
    "invalid_token": revoking_nothing,
    "INVALID_SESSION_ID": expired_again,
    "INVALID_AUTH_HEADER": token_of_another_crm,
    "HTTP_431": enormous_token,
}
