"""A console on a database of the test's own, and people with browsers who visit it."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import jwt
from pydantic import SecretStr
from starlette.applications import Starlette

from console.app import create_app
from console.context import Console
from console.guard import session_cookie
from console.serve import opening
from console.settings import ConsoleSettings
from tests.house import House
from tests.listener.daemons import settings_for

SECRET = "a-secret-of-the-host-application-that-is-long-enough-for-HS512-too"
CSRF = re.compile(r'name="csrf_token" value="([0-9a-f]{64})"')
_addresses = itertools.count(1)


def token_for(user: UUID | str, secret: Any = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """As the host application signs it; a claim of None is left out."""
    given = {
        "sub": str(user),
        "email": "ada@example.com",
        "role": "authenticated",
        "aud": "authenticated",
        "exp": int(time.time()) + 3600,
        **claims,
    }
    headers = given.pop("headers", None)
    kept = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(kept, secret, algorithm=algorithm, headers=headers)


class Browser:
    """Somebody's browser: it keeps cookies, follows nothing by itself, and has an address of its own."""

    def __init__(self, stage: Stage, token: str | None = None, address: str | None = None) -> None:
        self.stage = stage
        self._token: tuple[str | None, str] | None = None
        number = next(_addresses)
        address = address or f"198.51.{number // 250 % 250}.{number % 250 + 1}"
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=stage.app, client=(address, 40_000)), base_url=stage.settings.origin
        )
        if token is not None:
            self.http.cookies.set(stage.settings.jwt_cookie, token)

    @property
    def session(self) -> str | None:
        return self.http.cookies.get(session_cookie(self.stage.settings))

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.http.get(self._url(path), **options)

    async def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
        """As a form of a page of ours: with the token of this browser."""
        return await self.http.post(self._url(path), data={"csrf_token": await self.csrf(), **(data or {})}, **options)

    async def act(self, path: str, data: dict[str, Any] | None = None) -> httpx.Response:
        """As htmx sends it."""
        headers = {"hx-request": "true", "x-csrf-token": await self.csrf()}
        return await self.http.post(self._url(path), data=data or {}, headers=headers)

    async def ask(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """As a script of the host application's page on the same site: JSON, with the token of this browser."""
        return await self.http.post(self._url(path), json=body, headers={"x-csrf-token": await self.csrf(), **headers})

    async def csrf(self) -> str:
        """The token of this browser's session, which lasts as long as that."""
        if self._token is None or self._token[0] != self.session:
            page = await self.get("/sign-in")
            found = CSRF.search(page.text)
            assert found is not None
            self._token = (self.session, found[1])
        return self._token[1]

    def _url(self, path: str) -> str:
        return path if path.startswith("http") else self.stage.settings.base_path + path


class Stage:
    """A running console."""

    def __init__(self, house: House, settings: ConsoleSettings, app: Starlette, console: Console) -> None:
        self.house = house
        self.settings = settings
        self.app = app
        self.console = console

    def browser(self, user: UUID | None = None, **claims: Any) -> Browser:
        """Of a signed-in user, or of nobody."""
        return Browser(self, None if user is None else token_for(user, **claims))

    def bearer(self, user: UUID, **claims: Any) -> dict[str, str]:
        """The header of an application that calls the API itself."""
        return {"authorization": f"Bearer {token_for(user, **claims)}"}


@asynccontextmanager
async def stage(house: House, database: str, **changes: Any) -> AsyncIterator[Stage]:
    """`changes` are of `ConsoleSettings`."""
    values: dict[str, Any] = {"common": settings_for(database), "jwt_secret": SecretStr(SECRET), **changes}
    settings = ConsoleSettings(**values)
    open_console = opening(settings)
    app = create_app(settings, open_console)
    async with open_console() as console:
        app.state.console = console
        yield Stage(house, settings, app, console)


def inputs(page: str, form: str) -> dict[str, str]:
    """What a browser would send of the form with this id: its first `<form id=…>`, with what is chosen in it."""
    text = page[page.index(f'<form id="{form}"') :]
    text = text[: text.index("</form>")]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input ([^>]*)>", text):
        attributes = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
        if attributes.get("type") in ("checkbox", "radio") and not re.search(r"\bchecked\b", tag):
            continue
        if "name" in attributes:
            found[attributes["name"]] = unescape(attributes.get("value", "on"))
    for name, options in re.findall(r'<select [^>]*?name="([^"]*)"[^>]*>(.*?)</select>', text, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', options) or re.search(
            r'<option value="([^"]*)"', options
        )
        found[name] = unescape(chosen[1]) if chosen else ""
    for name, value in re.findall(r'<textarea [^>]*?name="([^"]*)"[^>]*>(.*?)</textarea>', text, re.S):
        found[name] = unescape(value)
    return found
