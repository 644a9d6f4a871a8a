"""The console as a process, and the links that sign people in."""

from __future__ import annotations

import http.client
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sandbox.demo.children import Child, Children
from sandbox.demo.stage import APPS
from sandbox.up.cast import Cast

LINK = re.compile(r"^(https?://\S+/sign-in#\S+)$", re.MULTILINE)
READY_SECONDS = 30.0


@dataclass(frozen=True)
class ConsolePlace:
    """Where the console is to be reached, and the secret that its tokens are signed with."""

    port: int
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def start_console(children: Children, cast: Cast, place: ConsolePlace) -> Child:
    """`crm-sync console`, with what an operator would put into its environment."""
    return children.start("console", ["listener.cli", "console"], _settings(cast, place, cast.console_url))


def ask_for_link(children: Children, cast: Cast, place: ConsolePlace, email: str) -> Child:
    """`crm-sync sign-in-link`, as the owner of the host application's users; `link_of` reads what it says."""
    settings = _settings(cast, place, cast.stage.owner_url)
    return children.start(f"link for {email}", ["listener.cli", "sign-in-link", "--user", email], settings)


def link_of(child: Child) -> str:
    """Raises ChildFailedError."""
    found: re.Match[str] = child.wait_for(LINK.search, "making the link")
    return found.group(1)


def wait_until_ready(console: Child, place: ConsolePlace) -> None:
    """Raises ChildFailedError when it does not start."""
    console.wait_for(lambda _log: answers(place.url) or None, "ready", READY_SECONDS)


def _settings(cast: Cast, place: ConsolePlace, database_url: str) -> dict[str, str]:
    # what the caller's own console may be set to must not lead this one elsewhere
    others = ("JWKS_URL", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_COOKIE", "SIGN_IN_URL", "RETURN_URL")
    return {
        **{f"CRM_SYNC_{name}{file}": "" for name in others for file in ("", "_FILE")},
        "CRM_SYNC_LOG_FORMAT": "json",
        "CRM_SYNC_PUBLIC_URL": place.url,
        "CRM_SYNC_CONSOLE_LISTEN": f"127.0.0.1:{place.port}",
        "CRM_SYNC_JWT_SECRET": place.secret,
        "DATABASE_URL": database_url,
        "INTEGRATION_ENCRYPTION_KEY": cast.stage.key,
        **APPS,
    }


def answers(url: str) -> bool:
    """Whether the console there is ready."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
