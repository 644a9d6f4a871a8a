"""What the settings of the webhook must be; `listener.settings` reads them."""

from __future__ import annotations

import base64
import binascii
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator, model_validator

MAKE_ONE = 'echo "whsec_$(openssl rand -base64 32)"'


class WebhookSettings(BaseModel):
    """Where messages about alerts go, if anywhere.

    Attributes:
        webhook_url: https, or http on this machine; None: nowhere. It may hold a token: never log it.
        webhook_secret: `whsec_` and base64 of 24 to 64 bytes; several, separated by white space, while
            they are rotated.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    webhook_url: str | None = None
    webhook_secret: SecretStr = SecretStr("")

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """What signs each message; the newest secret is the first."""
        return tuple(_webhook_key(word) for word in self.webhook_secret.get_secret_value().split())

    @field_validator("webhook_url")
    @classmethod
    def _webhook_url_is_safe(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            is_whole = bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise ValueError("write it as https://alerts.example.com/crm-sync") from None
        is_plain = url.isascii() and url.isprintable() and not set(" \\") & set(url)
        if not (is_whole and is_plain) or parts.scheme not in ("http", "https"):
            raise ValueError("write it as https://alerts.example.com/crm-sync")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("it must begin with https://; only 127.0.0.1 may do without")
        if parts.username is not None or parts.fragment:
            raise ValueError("it must hold no user name, no password and no #; messages are signed instead")
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _webhook_secrets_are_keys(cls, secret: SecretStr) -> SecretStr:
        for word in secret.get_secret_value().split():
            _webhook_key(word)
        return secret

    @model_validator(mode="after")
    def _messages_are_signed(self) -> Self:
        if (self.webhook_url is None) != (not self.webhook_keys):
            raise ValueError(
                "Set CRM_SYNC_WEBHOOK_URL and CRM_SYNC_WEBHOOK_SECRET, both or neither: every message is signed. "
                f"Make a secret with: {MAKE_ONE}"
            )
        return self


def _webhook_key(word: str) -> bytes:
    """The key behind `whsec_…`; raises `ValueError`, whose words hold nothing of it."""
    try:
        key = base64.b64decode(word.removeprefix("whsec_"), validate=True) if word.startswith("whsec_") else b""
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError(f"each secret is whsec_ and base64 of 24 to 64 bytes; make one with: {MAKE_ONE}")
    return key
