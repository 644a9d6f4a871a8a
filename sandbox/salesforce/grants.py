"""What Salesforce gave out: authorization codes, sessions, and approvals with their refresh tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.salesforce.errors import OAuthError, invalid_session
from sandbox.salesforce.org import Org

SESSION_SECONDS = 7200.0
CODE_SECONDS = 900.0
MOST_APPROVALS = 5
FIRST_SCOPES = ("refresh_token", "api", "id")


@dataclass(eq=False)
class Approval:
    """A user let the app act in an org; ends as a whole."""

    org: Org
    scopes: tuple[str, ...]
    refresh_token: str = ""
    sessions: dict[str, float] = field(default_factory=dict)
    """Access tokens and when each ends."""


@dataclass(frozen=True)
class Code:
    org: Org
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str
    expires: float


class Grants:
    """All tokens of one app, by the emulator's clock."""

    def __init__(
        self, clock: Callable[[], float], client_secret: str, session_seconds: float = SESSION_SECONDS
    ) -> None:
        self._clock = clock
        self._client_secret = client_secret
        self.session_seconds = session_seconds
        self._approvals: dict[int, list[Approval]] = {}
        self._by_session: dict[str, Approval] = {}
        self._by_refresh: dict[str, Approval] = {}
        self._codes: dict[str, Code] = {}

    def install(self, org: Org) -> None:
        """Give an org's user a first approval."""
        org.bind(self)
        approval = self._approve(org, FIRST_SCOPES)
        org.access_token, org.refresh_token = self._open_session(approval), approval.refresh_token

    def org_of(self, token: str) -> Org | None:
        """Whose access or refresh token this is or was, as long as its approval lives."""
        approval = self._by_session.get(token) or self._by_refresh.get(token)
        return approval.org if approval else None

    def authenticate(self, token: str) -> Approval:
        """The approval of a session that is good now; raises ApiError (401)."""
        approval = self._by_session.get(token)
        if approval is None or approval.sessions[token] <= self._clock():
            raise invalid_session()
        return approval

    def grant_code(self, org: Org, redirect_uri: str, scopes: tuple[str, ...], challenge: str) -> str:
        """The user approved: a code for the redirect."""
        code = f"aPrx{secrets.token_urlsafe(24)}"
        self._codes[code] = Code(org, redirect_uri, scopes, challenge, self._clock() + CODE_SECONDS)
        return code

    def exchange(self, code: str, redirect_uri: str, verifier: str, base_url: str) -> dict[str, Any]:
        """Tokens for a code, which is good once; raises OAuthError."""
        held = self._codes.pop(code, None)
        if held is None:
            raise OAuthError("invalid_grant", "invalid authorization code")
        if held.expires <= self._clock():
            raise OAuthError("invalid_grant", "expired authorization code")
        if held.redirect_uri != redirect_uri:
            raise OAuthError("redirect_uri_mismatch", "redirect_uri must match configuration")
        if not verifier:
            raise OAuthError("invalid_request", "missing required code verifier")
        if not hmac.compare_digest(held.challenge, challenge_of(verifier)):
            raise OAuthError("invalid_grant", "invalid code verifier")
        approval = self._approve(held.org, held.scopes)
        answer = self._answer(approval, base_url)
        return {**answer, "refresh_token": approval.refresh_token} if approval.refresh_token else answer

    def refresh(self, token: str, base_url: str) -> dict[str, Any]:
        """A new session, and with rotation a new refresh token; raises OAuthError when the approval is over."""
        approval = self._by_refresh.get(token)
        if approval is None:
            raise OAuthError("invalid_grant", "expired access/refresh token")
        approval.org.standing.refuse_refresh()
        if not approval.org.rotate:
            return self._answer(approval, base_url)
        del self._by_refresh[token]
        approval.refresh_token = self._new_refresh(approval)
        return {**self._answer(approval, base_url), "refresh_token": approval.refresh_token}

    def revoke_token(self, token: str) -> None:
        """A refresh token takes its sessions along, a session goes alone; raises OAuthError for what is neither."""
        if approval := self._by_refresh.get(token):
            self._end(approval)
        elif (held := self._by_session.pop(token, None)) is not None:
            del held.sessions[token]
        else:
            raise OAuthError("invalid_token", "invalid token")

    def introspect(self, token: str) -> dict[str, Any]:
        """What RFC 7662 says of a token of this app."""
        now = self._clock()
        approval = self._by_session.get(token) or self._by_refresh.get(token)
        expires = approval.sessions.get(token) if approval else None
        if approval is None or (expires is not None and expires <= now):
            return {"active": False}
        described: dict[str, Any] = {
            "active": True,
            "scope": " ".join(approval.scopes),
            "username": f"integration@org-{approval.org.number}.test",
            "sub": f"{approval.org.id}/{approval.org.user_id}",
            "token_type": "refresh_token" if expires is None else "access_token",
            "iat": int(now),
            "nbf": int(now),
        }
        return described if expires is None else {**described, "exp": int(expires)}

    def expire(self, org: Org) -> None:
        now = self._clock()
        for approval in self._approvals.get(org.number, ()):
            approval.sessions = {token: min(until, now) for token, until in approval.sessions.items()}

    def revoke(self, org: Org) -> None:
        for approval in list(self._approvals.get(org.number, ())):
            self._end(approval)

    def _approve(self, org: Org, scopes: tuple[str, ...]) -> Approval:
        held = self._approvals.setdefault(org.number, [])
        approval = Approval(org, scopes)
        if {"refresh_token", "offline_access"} & set(scopes):
            approval.refresh_token = self._new_refresh(approval)
        held.append(approval)
        while len(held) > MOST_APPROVALS:
            self._end(held[0])
        return approval

    def _end(self, approval: Approval) -> None:
        self._approvals[approval.org.number].remove(approval)
        self._by_refresh.pop(approval.refresh_token, None)
        for token in approval.sessions:
            self._by_session.pop(token, None)

    def _new_refresh(self, approval: Approval) -> str:
        token = f"5Aep861{secrets.token_urlsafe(48)}"
        self._by_refresh[token] = approval
        return token

    def _open_session(self, approval: Approval) -> str:
        token = f"{approval.org.id[:15]}!AQ{secrets.token_urlsafe(60)}"
        approval.sessions[token] = self._clock() + self.session_seconds
        self._by_session[token] = approval
        return token

    def _answer(self, approval: Approval, base_url: str) -> dict[str, Any]:
        identity = f"{base_url}/id/{approval.org.id}/{approval.org.user_id}"
        issued_at = str(round(self._clock() * 1000))
        signed = hmac.new(self._client_secret.encode(), f"{identity}{issued_at}".encode(), hashlib.sha256).digest()
        return {
            "access_token": self._open_session(approval),
            "signature": base64.b64encode(signed).decode(),
            "scope": " ".join(approval.scopes),
            "instance_url": base_url,
            "id": identity,
            "token_type": "Bearer",
            "issued_at": issued_at,
        }


def challenge_of(verifier: str) -> str:
    """PKCE S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
