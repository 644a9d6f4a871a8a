"""What the environment says; nobody else reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from listener.errors import Refusal
from listener.webhook_settings import WebhookSettings

REQUIRED_SCHEMA = 23
"""Number of the newest migration that the functions called by `listener.db` rely on."""

PROVIDERS = ("hubspot", "salesforce", "pipedrive")

CREDENTIAL_FOLDERS = ("shared_", "console_")
"""Directories of secrets that the units in deploy/ load as a whole."""


class OAuthApp(BaseModel):
    """Our registration with a CRM."""

    model_config = ConfigDict(frozen=True)

    client_id: str
    client_secret: SecretStr
    redirect_uri: str = ""


class Endpoint(NamedTuple):
    """Where to listen for TCP connections."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """`host:port`, `[IPv6]:port`, or a port of this machine's own 127.0.0.1; raises `ValueError`."""
        host, colon, port = text.strip().rpartition(":")
        is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 65536
        if not is_port or (colon and host in ("", "[]", "*")):
            raise ValueError("write it as host:port, for example 127.0.0.1:9464; 0.0.0.0 is every address there is")
        return cls(host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port))


class Settings(WebhookSettings):
    """The daemon's settings; see the table in README.md."""

    database_url: SecretStr
    encryption_key: SecretStr
    old_encryption_keys: SecretStr = SecretStr("")
    """Separated by white space; they open what was sealed with them, and seal nothing."""
    apps: dict[str, OAuthApp] = Field(default_factory=dict)
    listen: bool = True
    batch_size: int = Field(default=1000, ge=1, le=1000)
    concurrency: int = Field(default=8, ge=1, le=64)
    poll_seconds: float = Field(default=5.0, gt=0, le=3600)
    lease_seconds: float = Field(default=60.0, ge=2, le=3600)
    connect_timeout_seconds: float = Field(default=10.0, gt=0, le=600)
    stop_seconds: float = Field(default=2.5, ge=0, le=60)
    """How long calls under way may take after SIGTERM; the last words to the database come after that."""
    ring_seconds: float = Field(default=30.0, gt=0)
    """How often the daemon rings its own bell, to learn whether it still hears; no business of an operator."""
    ring_answer_seconds: float = Field(default=5.0, gt=0)
    metrics_listen: Endpoint | None = None
    """Where /healthz, /readyz and /metrics are served; None: nowhere."""
    log_format: Literal["auto", "json", "text", "journal"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("encryption_key")
    @classmethod
    def _key_is_long_enough(cls, key: SecretStr) -> SecretStr:
        length = len(key.get_secret_value())
        if length < 32:
            raise ValueError(f"it has {length} characters, 32 are the least; make one with: openssl rand -base64 48")
        return key

    @field_validator("metrics_listen", mode="before")
    @classmethod
    def _endpoint(cls, value: object) -> object:
        return Endpoint.parse(value) if isinstance(value, str) else value

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment; raises `Refusal` naming the variable that is missing or makes no sense."""
        values: dict[str, object] = {
            field: value for field, name in VARIABLES.items() if (value := read_variable(environ, name)) is not None
        }
        values["apps"] = {
            provider: {
                "client_id": client_id,
                "client_secret": read_variable(environ, f"{provider.upper()}_CLIENT_SECRET") or "",
                "redirect_uri": read_variable(environ, f"{provider.upper()}_REDIRECT_URI") or "",
            }
            for provider in PROVIDERS
            if (client_id := read_variable(environ, f"{provider.upper()}_CLIENT_ID"))
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise refusal_of(error, VARIABLES) from None


VARIABLES = {
    "database_url": "DATABASE_URL",
    "encryption_key": "INTEGRATION_ENCRYPTION_KEY",
    "old_encryption_keys": "INTEGRATION_ENCRYPTION_KEY_OLD",
    "listen": "CRM_SYNC_LISTEN",
    "batch_size": "CRM_SYNC_BATCH_SIZE",
    "concurrency": "CRM_SYNC_CONCURRENCY",
    "poll_seconds": "CRM_SYNC_POLL_SECONDS",
    "lease_seconds": "CRM_SYNC_LEASE_SECONDS",
    "connect_timeout_seconds": "CRM_SYNC_CONNECT_TIMEOUT_SECONDS",
    "stop_seconds": "CRM_SYNC_STOP_SECONDS",
    "metrics_listen": "CRM_SYNC_METRICS_LISTEN",
    "webhook_url": "CRM_SYNC_WEBHOOK_URL",
    "webhook_secret": "CRM_SYNC_WEBHOOK_SECRET",
    "log_format": "CRM_SYNC_LOG_FORMAT",
    "log_level": "CRM_SYNC_LOG_LEVEL",
}

MISSING_HINTS = {
    "database_url": "Set it to a connection string, for example postgresql://crm_sync@localhost/app.",
    "encryption_key": "Set it to at least 32 characters; make one with: openssl rand -base64 48",
}


def webhook_settings(environ: Mapping[str, str] = os.environ) -> WebhookSettings:
    """The webhook's settings alone; raises `Refusal` naming the variable that makes no sense."""
    names = {field: name for field, name in VARIABLES.items() if field in WebhookSettings.model_fields}
    values = {field: value for field, name in names.items() if (value := read_variable(environ, name)) is not None}
    try:
        return WebhookSettings.model_validate(values)
    except ValidationError as error:
        raise refusal_of(error, VARIABLES) from None


def database_url(environ: Mapping[str, str] = os.environ) -> str | None:
    """DATABASE_URL, from the variable, a `…_FILE` or a systemd credential; None when there is none."""
    return read_variable(environ, "DATABASE_URL")


def urls_of(url: str) -> list[str]:
    """One URL for each host of a connection string that names several (`host1:5432,host2:5432`), in their order."""
    scheme, slashes, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    login, at, hosts = place.rpartition("@")
    return [f"{scheme}{slashes}{login}{at}{host}{slash}{path}" for host in hosts.split(",")]


def notify_socket(environ: Mapping[str, str] = os.environ) -> str | None:
    """Where systemd wants to hear that we are ready; None when it did not start us."""
    return environ.get("NOTIFY_SOCKET") or None


def watchdog(pid: int, environ: Mapping[str, str] = os.environ) -> float | None:
    """Within how many seconds systemd wants a sign of life of this process; None when it does not watch it."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or not int(microseconds) or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(microseconds) / 1e6


def journal_stream(environ: Mapping[str, str] = os.environ) -> str | None:
    """Device and inode of the stream that systemd's journal reads; None when it reads none of ours."""
    return environ.get("JOURNAL_STREAM") or None


def read_variable(environ: Mapping[str, str], name: str) -> str | None:
    """A variable, else the file that `NAME_FILE` names, else a systemd credential of that name in lower case.

    Of a directory that is a credential, systemd makes one for each file in it, with the directory's name before it.
    """
    if environ.get(name):
        return environ[name]
    if named := environ.get(f"{name}_FILE"):
        return _text_of(Path(named), f"{name}_FILE names {named}")
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        for folder in ("", *CREDENTIAL_FOLDERS):
            path = Path(directory, folder + name.lower())
            if path.name in _names_in(directory):
                return _text_of(path, f"the credential {path.name} is at {path}")
    return None


def _names_in(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 - names are all there is to know
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Refusal(
            f"CREDENTIALS_DIRECTORY names {directory}, which cannot be read ({type(error).__name__})."
        ) from None


def _text_of(path: Path, origin: str) -> str | None:
    try:
        return path.read_text().strip() or None
    except (OSError, ValueError) as error:
        raise Refusal(f"{origin}, which is not a text file that can be read ({type(error).__name__}).") from None


def refusal_of(error: ValidationError, variables: Mapping[str, str]) -> Refusal:
    """What is wrong with the environment, by the names of its variables."""
    return Refusal("\n".join(_words(variables, detail["loc"], detail) for detail in error.errors()))


def _words(variables: Mapping[str, str], place: tuple[int | str, ...], detail: Mapping[str, object]) -> str:
    field = place[0] if place else ""
    name = variables.get(str(field), str(field))
    if detail["type"] == "missing":
        return f"{name} is not set. {MISSING_HINTS.get(str(field), '')}".strip()
    return f"{name}: {str(detail['msg']).removeprefix('Value error, ')}".removeprefix(": ")
