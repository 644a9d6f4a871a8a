"""The tokens HubSpot gave out: authorization codes, access tokens, refresh tokens and service keys."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.hubspot.errors import ApiError, unauthenticated
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.wire import iso

ACCESS_SECONDS = 1800
CODE_SECONDS = 60


@dataclass
class AccessToken:
    """`expires` is None for a service key."""

    portal: Portal
    expires: float | None


@dataclass(frozen=True)
class Code:
    portal: Portal
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str | None
    expires: float


def refused(status: str, message: str, error: str) -> ApiError:
    """The OAuth endpoints' own envelope (400)."""
    return ApiError(400, message, None, top={"status": status, "error": error, "error_description": message})


class Grants:
    """All tokens of one app, by the emulator's clock."""

    def __init__(self, clock: Callable[[], float], *, rotate: bool) -> None:
        self._clock = clock
        self.rotate = rotate
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, Portal] = {}
        self._codes: dict[str, Code] = {}

    def install(self, portal: Portal) -> None:
        """Give a portal its first tokens, as if a customer had consented."""
        portal.bind(self)
        portal.static_token = f"pat-eu1-{secrets.token_hex(16)}"
        self._access[portal.static_token] = AccessToken(portal, None)
        portal.access_token, portal.refresh_token = self._issue_access(portal), self._issue_refresh(portal)

    def portal_of(self, token: str) -> Portal | None:
        """Whose access token this is or was."""
        held = self._access.get(token)
        return held.portal if held else None

    def authenticate(self, token: str) -> AccessToken:
        """The access token as it is good now; raises ApiError (401)."""
        held = self._access.get(token)
        if held is None:
            raise unauthenticated()
        now = self._clock()
        if held.expires is not None and held.expires <= now:
            raise ApiError(
                401,
                f"The OAuth token used to make this call expired {int(now - held.expires)} second(s) ago.",
                "EXPIRED_AUTHENTICATION",
                context={"expire time": [iso(held.expires)]},
            )
        return held

    def grant_code(self, portal: Portal, redirect_uri: str, scopes: tuple[str, ...], challenge: str | None) -> str:
        """The user approved: a code for the redirect."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = Code(portal, redirect_uri, scopes, challenge, self._clock() + CODE_SECONDS)
        return code

    def exchange(self, code: str, redirect_uri: str, verifier: str | None) -> dict[str, Any]:
        """Tokens for a code, which is good once; raises ApiError (400)."""
        held = self._codes.pop(code, None)
        if held is None or held.expires <= self._clock():
            raise refused("BAD_AUTH_CODE", "missing or unknown auth code", "invalid_grant")
        if held.redirect_uri != redirect_uri:
            raise refused(
                "MISMATCH_REDIRECT_URI_AUTH_CODE", "redirect URI does not match initial auth code URI", "invalid_grant"
            )
        if held.challenge is not None and held.challenge != challenge_of(verifier or ""):
            raise refused("BAD_CODE_VERIFIER", "missing or invalid code verifier", "invalid_grant")
        held.portal.scopes = held.scopes
        return self._answer(held.portal, self._issue_refresh(held.portal))

    def refresh(self, token: str) -> dict[str, Any]:
        """A new access token; raises ApiError (400) when the grant is over."""
        portal = self._refresh.get(token)
        if portal is None:
            raise refused("BAD_REFRESH_TOKEN", "missing or invalid refresh token", "invalid_grant")
        if self.rotate:
            del self._refresh[token]
            token = self._issue_refresh(portal)
        return self._answer(portal, token)

    def portal_of_refresh(self, token: str) -> Portal | None:
        return self._refresh.get(token)

    def expires_in(self, token: str) -> int | None:
        """Seconds an access token still lives; None when it is not good, or not one."""
        held = self._access.get(token)
        if held is None or held.expires is None or held.expires <= self._clock():
            return None
        return int(held.expires - self._clock())

    def expire(self, portal: Portal) -> None:
        now = self._clock()
        for held in self._access.values():
            if held.portal is portal and held.expires is not None:
                held.expires = min(held.expires, now)

    def revoke(self, portal: Portal) -> None:
        self._refresh = {token: each for token, each in self._refresh.items() if each is not portal}
        self._access = {
            token: held for token, held in self._access.items() if held.portal is not portal or held.expires is None
        }

    def revoke_token(self, token: str) -> None:
        """A refresh token takes its access tokens along; an access token goes alone; others are nobody's business."""
        portal = self._refresh.get(token)
        if portal is not None:
            self.revoke(portal)
        elif (held := self._access.get(token)) is not None and held.expires is not None:
            del self._access[token]

    def _issue_access(self, portal: Portal) -> str:
        token = f"C{secrets.token_urlsafe(48)}"
        self._access[token] = AccessToken(portal, self._clock() + ACCESS_SECONDS)
        return token

    def _issue_refresh(self, portal: Portal) -> str:
        token = f"na1-{secrets.token_urlsafe(24)}"
        self._refresh[token] = portal
        return token

    def _answer(self, portal: Portal, refresh_token: str) -> dict[str, Any]:
        return {
            "access_token": self._issue_access(portal),
            "refresh_token": refresh_token,
            "expires_in": ACCESS_SECONDS,
            "token_type": "bearer",
            "token_use": "access_token",
            "hub_id": portal.hub_id,
            "user_id": portal.hub_id + 1,
            "scopes": list(portal.scopes),
        }


def challenge_of(verifier: str) -> str:
    """PKCE S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
