"""Who is asking: the host application's token, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt

from console.keys import PublishedKeys
from console.settings import ConsoleSettings

LEEWAY_SECONDS = 30
LONGEST_TOKEN = 16 * 1024
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class NotSignedInError(Exception):
    """There is no token, or none that counts; the message says why, without the token.

    Attributes:
        reason: one word for the metrics.
    """

    def __init__(self, message: str, reason: str = "absent") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Identity:
    """A signed-in user.

    Attributes:
        claims: of the token, as JSON text: what `request.jwt.claims` is set to.
        expires_at: Unix time of the token's end.
        by_header: whether the token came in an Authorization header, which no other site can make a browser send.
    """

    user_id: str
    email: str | None
    claims: str
    expires_at: float
    by_header: bool


class Verifier:
    """Checks tokens by a shared secret or by the keys that the host application publishes."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._keys = None if settings.jwks_url is None else PublishedKeys(settings.jwks_url)

    async def verify(self, token: str, *, by_header: bool = False) -> Identity:
        """Whose token it is; raises `NotSignedInError`."""
        if len(token) > LONGEST_TOKEN:
            raise NotSignedInError("the token is too long to be one", "invalid")
        try:
            claims = await self._claims(token)
        except jwt.ExpiredSignatureError:
            raise NotSignedInError("the sign-in has expired", "expired") from None
        except jwt.InvalidAudienceError:
            raise NotSignedInError("the token is meant for somebody else (its audience)", "audience") from None
        except jwt.InvalidIssuerError:
            raise NotSignedInError("the token comes from somebody else (its issuer)", "issuer") from None
        except jwt.PyJWKClientConnectionError:
            raise NotSignedInError(
                "the keys of the application that signs cannot be fetched just now", "no_keys"
            ) from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise NotSignedInError("the token is not one that counts here", "invalid") from None
        return _identity(claims, by_header)

    async def _claims(self, token: str) -> dict[str, Any]:
        settings = self._settings
        key: Any
        algorithms: tuple[str, ...]
        if settings.jwt_secret is not None:
            key, algorithms = settings.jwt_secret.get_secret_value(), ("HS256",)
        elif self._keys is not None:
            # a key knows its algorithm: what the token says of it is not asked
            key, algorithms = await self._keys.key_of(token), ASYMMETRIC
        else:
            raise AssertionError("settings hold one of both")
        decoded: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(algorithms),
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "sub"]},
        )
        return decoded


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of an Authorization header; None when there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _identity(claims: dict[str, Any], by_header: bool) -> Identity:
    """What the database will read must be what it can read: `auth.uid()` is a uuid, and jsonb stores no NUL."""
    try:
        user_id = str(UUID(claims["sub"]))
    except (ValueError, AttributeError):
        raise NotSignedInError("the token names no user of this database (its sub is not a uuid)", "subject") from None
    try:
        text = json.dumps({**claims, "sub": user_id}, ensure_ascii=False, allow_nan=False)
        text.encode()
        expires_at = float(claims["exp"])
    except (ValueError, OverflowError):
        text, expires_at = "\\u0000", 0.0
    if "\\u0000" in text:
        raise NotSignedInError("the token is not one that counts here", "invalid")
    email = claims.get("email")
    return Identity(
        user_id=user_id,
        email=email if isinstance(email, str) else None,
        claims=text,
        expires_at=expires_at + LEEWAY_SECONDS,
        by_header=by_header,
    )
