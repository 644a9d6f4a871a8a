"""The tokens Pipedrive gave out: authorization codes, access tokens, refresh tokens and API tokens."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.pipedrive.company import Company
from sandbox.pipedrive.errors import OAuthError, unauthorized

ACCESS_SECONDS = 3599
CODE_SECONDS = 300
IDLE_SECONDS = 60 * 86_400
"""A refresh token that nobody used for so long is dead."""


@dataclass
class Held:
    """A token of a company, and when it ends."""

    company: Company
    expires: float


@dataclass(frozen=True)
class Code:
    company: Company
    redirect_uri: str
    expires: float


def _invalid_grant(what: str) -> OAuthError:
    return OAuthError("invalid_grant", f"Invalid grant: {what}")


class Grants:
    """All tokens of one app, by the emulator's clock."""

    def __init__(self, clock: Callable[[], float], *, rotate: bool) -> None:
        self._clock = clock
        self.rotate = rotate
        self._access: dict[str, Held] = {}
        self._refresh: dict[str, Held] = {}
        self._exchanged: set[str] = set()
        self._api: dict[str, Company] = {}
        self._codes: dict[str, Code] = {}

    def install(self, company: Company) -> None:
        """Give a company its first tokens, as if its user had consented."""
        company.bind(self)
        company.api_token = secrets.token_hex(20)
        self._api[company.api_token] = company
        company.access_token, company.refresh_token = self._issue_access(company), self._issue_refresh(company)

    def company_of(self, token: str) -> Company | None:
        """Whose access token this is or was."""
        held = self._access.get(token)
        return held.company if held else None

    def company_of_api_token(self, token: str) -> Company | None:
        return self._api.get(token)

    def company_of_refresh(self, token: str) -> Company | None:
        held = self._refresh.get(token)
        return held.company if held else None

    def authenticate(self, token: str) -> Company:
        """The company of an access token that is good now; raises ApiError (401)."""
        held = self._access.get(token)
        if held is None or held.expires <= self._clock():
            raise unauthorized()
        return held.company

    def grant_code(self, company: Company, redirect_uri: str) -> str:
        """The user approved: a code for the redirect."""
        code = secrets.token_hex(20)
        self._codes[code] = Code(company, redirect_uri, self._clock() + CODE_SECONDS)
        return code

    def exchange(self, code: str, redirect_uri: str) -> tuple[Company, dict[str, Any]]:
        """Tokens for a code, which is good once; raises OAuthError (400)."""
        held = self._codes.pop(code, None)
        if held is None:
            raise _invalid_grant("authorization_code is invalid")
        if held.expires <= self._clock():
            raise _invalid_grant("authorization_code has expired")
        if held.redirect_uri != redirect_uri:
            raise _invalid_grant("redirect_uri is invalid")
        return held.company, self._answer(held.company, self._issue_refresh(held.company))

    def refresh(self, token: str) -> tuple[Company, dict[str, Any]]:
        """A new access token; raises OAuthError (400) when the grant is over."""
        held = self._refresh.get(token)
        now = self._clock()
        if token in self._exchanged:
            raise _invalid_grant("refresh_token is invalid, or it was already exchanged")
        if held is None or held.expires <= now:
            raise _invalid_grant("refresh_token is invalid")
        if self.rotate:
            self._exchanged.add(token)
            del self._refresh[token]
            token = self._issue_refresh(held.company)
        else:
            held.expires = now + IDLE_SECONDS
        return held.company, self._answer(held.company, token)

    def expire(self, company: Company) -> None:
        now = self._clock()
        for held in self._access.values():
            if held.company is company:
                held.expires = min(held.expires, now)

    def revoke(self, company: Company) -> None:
        self._refresh = {token: held for token, held in self._refresh.items() if held.company is not company}
        self._access = {token: held for token, held in self._access.items() if held.company is not company}

    def revoke_token(self, token: str) -> None:
        """A refresh token uninstalls the app; an access token goes alone; others are nobody's business."""
        held = self._refresh.get(token)
        if held is not None:
            self.revoke(held.company)
        else:
            self._access.pop(token, None)

    def _issue_access(self, company: Company) -> str:
        token = f"v1u:{secrets.token_urlsafe(48)}"
        self._access[token] = Held(company, self._clock() + ACCESS_SECONDS)
        return token

    def _issue_refresh(self, company: Company) -> str:
        token = f"{company.number}:{company.me.id}:{secrets.token_hex(20)}"
        self._refresh[token] = Held(company, self._clock() + IDLE_SECONDS)
        return token

    def _answer(self, company: Company, refresh_token: str) -> dict[str, Any]:
        return {
            "access_token": self._issue_access(company),
            "token_type": "Bearer",
            "refresh_token": refresh_token,
            "scope": ",".join(company.scopes),
            "expires_in": ACCESS_SECONDS,
        }
