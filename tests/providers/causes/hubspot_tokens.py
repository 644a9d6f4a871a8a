"""Why HubSpot gives no tokens, or takes one no more: by the code that it then has."""

from __future__ import annotations

from collections.abc import Mapping

from tests.providers.causes.scene import Cause, Met, Scene, dead_grant, refreshed_as
from tests.providers.samples_hubspot import VERSION, HubSpotAccount

HERE = "http://127.0.0.1/back"
OBJECTS = f"/crm/objects/{VERSION}"


async def unknown_grant_type(scene: Scene) -> Met:
    account = await scene.shared(HubSpotAccount)
    return await scene.post_form(account, account.config.token_url, {"grant_type": "password"})


async def old_code(scene: Scene) -> Met:
    account = await scene.shared(HubSpotAccount)
    code = account.hubspot.grants.grant_code(account.portal, HERE, account.portal.scopes, None)
    scene.clock.seconds += 61
    return await scene.exchange(account, code, HERE)


async def another_attempt(scene: Scene) -> Met:
    account = await scene.shared(HubSpotAccount)
    code = account.hubspot.grants.grant_code(account.portal, HERE, account.portal.scopes, "of-another")
    return await scene.exchange(account, code, HERE, "verifier-of-this-one")


async def another_redirect(scene: Scene) -> Met:
    account = await scene.shared(HubSpotAccount)
    code = account.hubspot.grants.grant_code(account.portal, HERE, account.portal.scopes, None)
    return await scene.exchange(account, code, f"{HERE}/elsewhere")


async def expired_again(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    return await scene.with_spoilt_tokens(account, f"{OBJECTS}/contacts", lambda _: account.expire())


async def revoked_again(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    grants = account.hubspot.grants
    return await scene.with_spoilt_tokens(
        account, f"{OBJECTS}/contacts", lambda held: grants.revoke_token(held.access_token.get_secret_value())
    )


TOKENS: Mapping[str, Cause] = {
    "BAD_AUTH_CODE": old_code,
    "BAD_REFRESH_TOKEN": dead_grant(HubSpotAccount),
    "BAD_CLIENT_ID": refreshed_as(HubSpotAccount, client_id="nobody"),
    "BAD_CLIENT_SECRET": refreshed_as(HubSpotAccount, client_secret="wrong"),
    "BAD_GRANT_TYPE": unknown_grant_type,
    "BAD_CODE_VERIFIER": another_attempt,
    "MISMATCH_REDIRECT_URI_AUTH_CODE": another_redirect,
    "EXPIRED_AUTHENTICATION": expired_again,
    "INVALID_AUTHENTICATION": revoked_again,
}
