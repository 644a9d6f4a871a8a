"""What the console is looked at with: an organization, its user, the sandbox's CRMs, and the processes beside them."""

from __future__ import annotations

import itertools
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

import jwt
from playwright.sync_api import Page
from psycopg import sql
from psycopg.types.json import Jsonb

from sandbox.app import Crm
from sandbox.demo.crms import CRMS, connection_of
from sandbox.ports import free_port
from sandbox.up.console import answers
from tests.house import House, eventually
from tests.listener.daemons import ROOT, ask, environment

SECRET = "a-secret-for-tests-only-that-signs-the-tokens-0123456789"
LASTING = 4_102_444_800
"""A moment in the year 2100: these tokens are not refreshed."""


@dataclass(frozen=True)
class Sandbox:
    """The emulated CRMs, by name, in this process; `url` has no slash at its end."""

    url: str
    crms: dict[str, Crm]


@dataclass
class Scene:
    """A database whose providers lead to the sandbox, with one organization and its user."""

    house: House
    database: str
    sandbox: Sandbox
    organization: UUID
    user: UUID
    email: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @classmethod
    def set_up(cls, house: House, database: str, sandbox: Sandbox) -> Scene:
        for name, crm in CRMS.items():
            house.connection.execute(
                "update public.integration_providers set config = config || %s where name = %s",
                [Jsonb(crm.urls(f"{sandbox.url}/{name}")), name],
            )
        organization, email = house.organization("Acme"), "ada@acme.example"
        return cls(house, database, sandbox, organization, house.user(organization, email), email)

    def connect(self, crm: str, name: str = "Acme, Inc.", **columns: Any) -> tuple[int, int]:
        """Connect a new account without a browser; returns the connection's id and the account's number.

        `columns` are columns of user_integrations.
        """
        account = self.sandbox.crms[crm].open_account({"name": name})
        credentials = connection_of(CRMS[crm], f"{self.sandbox.url}/{crm}", account, LASTING)
        made = self.house.integration(self.organization, crm, credentials=credentials, **columns)
        return made, int(account["account"])

    def reply(self, intent: str = "interested", **contact: str | None) -> UUID:
        """A message of a new contact, classified; returns the contact."""
        number = next(self._numbers)
        values = {"first_name": "Grace", "last_name": f"Hopper {number}", "company": "Cobol Ltd", **contact}
        email = values.pop("email", f"grace.{number}@cobol.example")
        made = self.house.contact(self.organization, email, **values)
        self.house.reply(self.organization, made, intent)
        return made


class ConsoleProcess:
    """`crm-sync console` as a process; `url` has no slash at its end, what it says is in `log`."""

    def __init__(self, scene: Scene, folder: Path, login: str, changes: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._scene = scene
        self._path = folder / "console.log"
        self.environ = {
            **environment(login),
            "CRM_SYNC_PUBLIC_URL": self.url,
            "CRM_SYNC_CONSOLE_LISTEN": f"127.0.0.1:{port}",
            "CRM_SYNC_JWT_SECRET": SECRET,
            **changes,
        }
        with self._path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "listener.cli", "console"],
                env=self.environ,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._path.read_text()

    @property
    def faults(self) -> list[str]:
        """Lines of the log that tell of a fault of ours."""
        return [line for line in self.log.splitlines() if '"level": "error"' in line or '"level": "critical"' in line]

    def wait_until_ready(self) -> None:
        eventually(lambda: answers(self.url) or self.process.poll() is not None, "the console", 60)
        assert self.process.poll() is None, self.log

    def link(self) -> str:
        """One that signs the scene's user in, as an operator makes it."""
        environ = {**self.environ, "DATABASE_URL": self._scene.database}
        made = ask(environ, "sign-in-link", "--user", self._scene.email)
        assert made.exit_code == 0, made.output
        return made.output.strip()

    def sign_in(self, page: Page) -> None:
        """As the host application does: the scene's user has its token in a cookie."""
        claims = {"sub": str(self._scene.user), "email": self._scene.email, "aud": "authenticated", "exp": LASTING}
        token = jwt.encode(claims, SECRET, algorithm="HS256")
        page.context.add_cookies([{"name": "crm_sync_token", "value": token, "url": self.url, "sameSite": "Lax"}])
        page.goto(f"{self.url}/dashboard")


@contextmanager
def console_of(scene: Scene, folder: Path, **changes: str) -> Iterator[ConsoleProcess]:
    """One that is ready, as a login that may do nothing but be a console; it and its login are gone at the end."""
    with _login(scene, "crm_sync_console") as login:
        running = ConsoleProcess(scene, folder, login, changes)
        try:
            running.wait_until_ready()
            yield running
        finally:
            running.process.kill()
            running.process.wait(30)


@contextmanager
def _login(scene: Scene, role: str) -> Iterator[str]:
    """The connection string of a new login in a role."""
    parts, password = urlsplit(scene.database), secrets.token_urlsafe(24)
    # of the database's name, as roles belong to the whole server and several runs may share one
    name = f"{parts.path.removeprefix('/')}_{role}"
    execute = scene.house.connection.execute
    execute(
        sql.SQL("create role {} login password {} in role {}").format(
            sql.Identifier(name), sql.Literal(password), sql.Identifier(role)
        )
    )
    host = parts.netloc.rpartition("@")[2]
    try:
        yield urlunsplit(parts._replace(netloc=f"{quote(name)}:{quote(password)}@{host}"))
    finally:
        execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [name])
        execute(sql.SQL("drop role {}").format(sql.Identifier(name)))
