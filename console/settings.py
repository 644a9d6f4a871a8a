"""What the environment says to the console; nobody else of it reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from listener.settings import Settings, read_variable, refusal_of

LOOPBACK = ("127.0.0.1", "localhost", "::1")

VARIABLES = {
    "public_url": "CRM_SYNC_PUBLIC_URL",
    "listen": "CRM_SYNC_CONSOLE_LISTEN",
    "jwt_secret": "CRM_SYNC_JWT_SECRET",
    "jwks_url": "CRM_SYNC_JWKS_URL",
    "jwt_issuer": "CRM_SYNC_JWT_ISSUER",
    "jwt_audience": "CRM_SYNC_JWT_AUDIENCE",
    "jwt_cookie": "CRM_SYNC_JWT_COOKIE",
    "sign_in_url": "CRM_SYNC_SIGN_IN_URL",
    "return_url": "CRM_SYNC_RETURN_URL",
    "forwarded_allow_ips": "CRM_SYNC_FORWARDED_ALLOW_IPS",
    "metrics_token": "CRM_SYNC_CONSOLE_METRICS_TOKEN",
}


class ConsoleSettings(BaseModel):
    """The console's settings; see the table in README.md.

    Attributes:
        common: what the daemon knows as well: the database, the key, the apps registered with the CRMs, the log.
        public_url: where people reach the console; links, redirects and cookies go by it, never by a Host header.
        jwks_url: where the host application publishes the keys of its tokens; instead of `jwt_secret`.
        sign_in_url: the host application's own page to sign in; without one the console has a page of its own.
        return_url: where a browser goes after the CRM, with `connected=` or `error=` added.
        metrics_token: what a scraper of `/metrics` shows; without one only this machine may ask.
    """

    model_config = ConfigDict(frozen=True)

    common: Settings
    public_url: str = "http://127.0.0.1:8080"
    listen: str = "127.0.0.1:8080"
    jwt_secret: SecretStr | None = None
    jwks_url: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str = "authenticated"
    jwt_cookie: str = Field(default="crm_sync_token", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    sign_in_url: str | None = None
    return_url: str | None = None
    forwarded_allow_ips: str = "127.0.0.1"
    metrics_token: SecretStr | None = None

    def redirect_uri(self, provider: str) -> str:
        """Where a CRM sends a browser back to; the app registered there must know it.

        The provider's own setting counts, unless it is a loopback address of somewhere else, which is the command's.
        """
        app = self.common.apps.get(provider)
        given = app.redirect_uri if app else ""
        if given and (urlsplit(given).hostname not in LOOPBACK or given.startswith(f"{self.origin}/")):
            return given
        return f"{self.public_url}/api/integrations/{provider}/callback"

    @property
    def is_secure(self) -> bool:
        """Whether people come by https: cookies are theirs alone then."""
        return self.public_url.startswith("https://")

    @property
    def origin(self) -> str:
        """What a browser calls us in its Origin header."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def base_path(self) -> str:
        """Below which path of `public_url` everything lies; without a slash at the end."""
        return urlsplit(self.public_url).path.rstrip("/")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]") or "127.0.0.1", int(port)

    @field_validator("public_url")
    @classmethod
    def _public_url_is_safe(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("write it as https://crm.example.com, or with a path behind it")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ValueError("it must be https: tokens and cookies travel there; only 127.0.0.1 may do without")
        return url.rstrip("/")

    @field_validator("jwks_url", "sign_in_url", "return_url")
    @classmethod
    def _url_is_safe(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
            if not is_local and (parts.scheme != "https" or not parts.hostname):
                raise ValueError("it must begin with https://")
        return url

    @field_validator("listen")
    @classmethod
    def _listen_has_a_port(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError("write it as 127.0.0.1:8080")
        return address

    @field_validator("jwt_secret")
    @classmethod
    def _secret_is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < 32:
            raise ValueError("32 characters are the least; make one with: openssl rand -base64 48")
        return secret

    @model_validator(mode="after")
    def _tokens_can_be_checked(self) -> Self:
        if (self.jwt_secret is None) == (self.jwks_url is None):
            raise ValueError(
                "Set CRM_SYNC_JWT_SECRET (your application signs with HS256) or CRM_SYNC_JWKS_URL (it publishes its "
                "keys), one of them: the console asks your application's tokens who somebody is."
            )
        return self

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> ConsoleSettings:
        """Read the environment; raises `Refusal` naming the variable that is missing or makes no sense."""
        values: dict[str, object] = {
            field: value for field, name in VARIABLES.items() if (value := read_variable(environ, name)) is not None
        }
        try:
            return cls.model_validate({"common": Settings.from_environment(environ), **values})
        except ValidationError as error:
            raise refusal_of(error, VARIABLES) from None
