"""Who is asking: the host application's token, checked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import jwt

from console.settings import ConsoleSettings

LEEWAY_SECONDS = 30
JWKS_SECONDS = 300
JWKS_TIMEOUT_SECONDS = 5
ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class NotSignedInError(Exception):
    """There is no token, or none that counts; the message says why, without the token."""


@dataclass(frozen=True)
class Identity:
    """A signed-in user.

    Attributes:
        claims: of the token, as JSON text: what `request.jwt.claims` is set to.
        by_header: whether the token came in an Authorization header, which no other site can make a browser send.
    """

    user_id: str
    email: str | None
    claims: str
    by_header: bool


class Verifier:
    """Checks tokens by a shared secret or by the keys that the host application publishes."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._keys = (
            None
            if settings.jwks_url is None
            else jwt.PyJWKClient(settings.jwks_url, lifespan=JWKS_SECONDS, timeout=JWKS_TIMEOUT_SECONDS)
        )

    async def verify(self, token: str, *, by_header: bool = False) -> Identity:
        """Whose token it is; raises `NotSignedInError`."""
        try:
            claims = await self._claims(token)
        except jwt.ExpiredSignatureError:
            raise NotSignedInError("the sign-in has expired") from None
        except jwt.InvalidAudienceError:
            raise NotSignedInError("the token is meant for somebody else (its audience)") from None
        except jwt.InvalidIssuerError:
            raise NotSignedInError("the token comes from somebody else (its issuer)") from None
        except jwt.PyJWKClientConnectionError:
            raise NotSignedInError("the keys of the application that signs cannot be fetched just now") from None
        except (jwt.PyJWTError, ValueError):
            raise NotSignedInError("the token is not one that counts here") from None
        email = claims.get("email")
        return Identity(
            user_id=str(claims["sub"]),
            email=email if isinstance(email, str) else None,
            claims=json.dumps(claims),
            by_header=by_header,
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        settings = self._settings
        key: Any
        algorithms: tuple[str, ...]
        if settings.jwt_secret is not None:
            key, algorithms = settings.jwt_secret.get_secret_value(), ("HS256",)
        elif self._keys is not None:
            key, algorithms = (await asyncio.to_thread(self._keys.get_signing_key_from_jwt, token)).key, ASYMMETRIC
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
