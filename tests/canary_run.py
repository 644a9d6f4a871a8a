"""A whole run of everything that is ours, with secrets and people that are told from all others."""

from __future__ import annotations

import base64
import json
import logging
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit
from uuid import UUID

import httpx
import psycopg
import structlog
from click.testing import CliRunner
from psycopg import sql

from listener.cli import main
from sandbox.faults import Fault
from sandbox.hubspot import HubSpot
from sandbox.hubspot.portal import Portal
from sandbox.ports import free_port
from sandbox.up.console import answers
from tests.canaries import Canaries
from tests.console.visitor import CSRF, token_for
from tests.house import House, eventually
from tests.listener.browser import consent
from tests.listener.daemons import ROOT, Process
from tests.listener.shop import Shop

SILENT = (
    "-c log_statement=none -c log_min_duration_statement=-1 -c log_duration=off -c auto_explain.log_min_duration=-1 "
    "-c pg_stat_statements.track=none -c pg_stat_statements.track_utility=off -c max_parallel_workers_per_gather=0"
)
"""For a session of the host application: what it writes of people into its own log is its own affair."""
OPEN = "select exists (select from public.sync_queue where integration_id = %s and completed_at is null)"
LOST = "select status = 'error' from public.user_integrations where id = %s"
WORKS_ON = "/contacts/batch/(read|upsert|update)"
INVALID = 'Property values were not valid: [{"isValid":false,"message":"{}","error":"{}","name":"{}"}]'
ROW = {"message": "{}", "category": "{}", "context": {"id": ["{}"]}}
TELLING: list[dict[str, Any]] = [
    {"status": 400, "body": {"status": "error", "message": "{}", "category": "VALIDATION_ERROR"}},
    {"status": 400, "body": {"status": "{}", "message": "{}", "category": "{}", "correlationId": "{}"}},
    {"status": 400, "body": {"message": INVALID}},
    {"status": 429, "body": {"message": "{}", "policyName": "{}"}, "headers": {"Retry-After": "0"}},
    {"status": 500, "body": "{}"},
    {"status": 401, "body": {"message": "{}", "category": "{}"}},
    {"status": 200, "body": {"status": "COMPLETE", "results": "{}"}},
    {"status": 207, "body": {"results": [], "errors": [ROW]}},
    {"status": 403, "body": {"message": "{}", "category": "{}"}},
]
"""Answers of a CRM that repeat all it has heard, {} is that; the last one ends the connection."""


def invented(what: str) -> str:
    return f"{what}-{secrets.token_hex(12)}"


def with_login(url: str, name: str, password: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(name)}:{quote(password, safe='')}@{host}"))


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Commands in this process configure what other tests look at."""
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("httpx", "httpcore", "asyncpg", "asyncio"))]
    levels, handlers = [each.level for each in loggers], list(root.handlers)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


@dataclass
class Leg:
    """A database of one run and what came of it.

    Attributes:
        url: a superuser's.
        house: a superuser's who looks on, which is not logged.
        folder: what our processes and commands said.
        answers: of the console: path, and headers with body.
        seen: the statements that pg_stat_activity told of.
        look: writes down, by a name, what the server holds in memory at this moment.
    """

    url: str
    folder: Path
    house: House
    look: Callable[[str], None]
    secrets: Canaries = field(default_factory=Canaries)
    people: Canaries = field(default_factory=Canaries)
    answers: list[tuple[str, str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def secret(self, name: str, text: str | None = None) -> str:
        return self.secrets.add(name, text or invented(name.replace(" ", "-")))

    def person(self, name: str, text: str) -> str:
        return self.people.add(name, text)


class Run:
    """The way of tokens and people through the console, the daemon, the commands and the database."""

    def __init__(self, leg: Leg, hubspot: HubSpot, crm_url: str, webhook_url: str) -> None:
        self.leg = leg
        self.hubspot = hubspot
        self.shop = Shop(leg.house, hubspot, crm_url)
        self.console_url = f"http://127.0.0.1:{free_port()}"
        self.key, self.next_key = leg.secret("encryption key"), leg.secret("next encryption key")
        self.web = self._login("crm_sync_console")
        self.environ = {
            "PATH": "/usr/bin:/bin",
            "DATABASE_URL": self._login("crm_sync_daemon"),
            "INTEGRATION_ENCRYPTION_KEY": self.key,
            "INTEGRATION_ENCRYPTION_KEY_OLD": self.next_key,
            "HUBSPOT_CLIENT_ID": hubspot.client_id,
            "HUBSPOT_CLIENT_SECRET": leg.secret("client secret", hubspot.client_secret),
            "CRM_SYNC_LOG_LEVEL": "debug",
            "CRM_SYNC_POLL_SECONDS": "1",
            "CRM_SYNC_WEBHOOK_URL": webhook_url,
            "CRM_SYNC_WEBHOOK_SECRET": "whsec_"
            + leg.secret("webhook secret", base64.b64encode(secrets.token_bytes(32)).decode()),
            "CRM_SYNC_PUBLIC_URL": self.console_url,
            "CRM_SYNC_CONSOLE_LISTEN": self.console_url.removeprefix("http://"),
            "CRM_SYNC_JWT_SECRET": leg.secret("secret of the application's tokens"),
            "CRM_SYNC_CONSOLE_METRICS_TOKEN": leg.secret("token of the scraper"),
        }

    def go(self, *, whole: bool) -> None:
        """All of it, or the way of the tokens alone."""
        house = self.leg.house
        self._record_tokens()
        with self._host() as host:
            self._found(host)
        portal, static = self._portal(), self._portal()
        token = ("connect", "hubspot", "--organization", str(self.organization), "--token-stdin")
        daemon = Process(self.leg.folder, self.environ)
        try:
            daemon.wait_until_ready()
            with self._console() as browser:
                number = self._connect(browser, portal)
                self._reply(number)
                portal.expire_tokens()
                self._reply(number)
                self._command(*token, "--name", "bad", given=self.leg.secret("a token that no CRM knows"))
                self._command(*token, "--name", "static", given=static.static_token)
                kept = house.value("select id from public.user_integrations where name = 'static'")
                self._reply(kept)
                self._command(
                    "rotate-key",
                    INTEGRATION_ENCRYPTION_KEY=self.next_key,
                    INTEGRATION_ENCRYPTION_KEY_OLD=self.key,
                )
                key_ids = "select count(distinct split_part(credentials, ':', 3)) from public.user_integrations"
                assert house.value(key_ids) == 1
                portal.expire_tokens()
                self._reply(number)
                if whole:
                    self._meet_errors(number, portal)
                    self._meet_errors(kept, static, static.static_token)
                    self._visit(browser, number)
                    self._ask(number)
                    self.leg.look("connected")
                self._end(browser, number, portal)
                self._command("disconnect", str(kept))
            assert daemon.end() == 0
        finally:
            if daemon.process.poll() is None:
                daemon.process.kill()
            daemon.process.wait(30)

    def _login(self, role: str) -> str:
        """A new login in a role, by its connection string; of its password the server hears what SCRAM makes of it."""
        name = f"{role}_{secrets.token_hex(4)}"
        password = self.leg.secret(f"password of {role}", secrets.token_urlsafe(24) + "/'\"é")
        statement = sql.SQL("create role {} login password {} in role {}")
        with psycopg.connect(self.leg.url, options=SILENT, autocommit=True) as connection:
            verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
            connection.execute(statement.format(sql.Identifier(name), sql.Literal(verifier), sql.Identifier(role)))
        return with_login(self.leg.url, name, password)

    def _record_tokens(self) -> None:
        """From now on, whatever the CRM gives out is a canary."""
        grants = self.hubspot.grants
        for name in ("_issue_access", "_issue_refresh"):
            setattr(grants, name, self._recorded(getattr(grants, name)))

    def _recorded(self, issue: Callable[[Portal], str]) -> Callable[[Portal], str]:
        return lambda portal: self.leg.secret("token of the CRM", issue(portal))

    def _portal(self) -> Portal:
        made = self.hubspot.open_portal()
        self.leg.secret("static token", made.static_token)
        return made

    # what the host application does

    @contextmanager
    def _host(self, options: str = SILENT) -> Iterator[House]:
        with psycopg.connect(self.leg.url, options=options, autocommit=True) as connection:
            yield House(connection)

    def _found(self, host: House) -> None:
        self.organization = host.organization("An organization")
        self.email = self.leg.person("address of a user", f"{invented('user')}@users.example")
        self.user = host.user(self.organization, self.email)
        key = self.environ["CRM_SYNC_JWT_SECRET"]
        self.jwt = self.leg.secret("token of the user", token_for(self.user, key, email=self.email))

    def _write(self, host: House) -> UUID:
        """Somebody new writes a message; its id."""
        person = self.leg.person
        self.contact = host.contact(
            self.organization,
            person("address", f"{invented('contact')}@people.example"),
            first_name=person("first name", invented("Zoë")),
            last_name=person("last name", invented("O'Brian")),
            company=person("employer", invented("Company")),
            phone=person("phone", "+49" + str(secrets.randbelow(10**12)).zfill(12)),
        )
        subject, body = person("subject", invented("Re: subject")), person("message", invented('<b>body</b>, "it\'s"'))
        return host.message(self.organization, self.contact, subject=subject, body=body)

    def _reply(self, integration: int) -> None:
        """Somebody new writes, and all that comes of it is done, or has ended the connection."""
        with self._host() as host:
            self.message = self._write(host)
        with self._host(options="") as producer:  # logged: no word of it is about a person
            producer.classify(self.message, attention=True)

        def has_ended() -> bool:
            self.shop.hurry()
            self.leg.seen |= {query for (query,) in self.leg.house.rows("select query from pg_stat_activity")}
            return not self.leg.house.value(OPEN, integration) or bool(self.leg.house.value(LOST, integration))

        eventually(has_ended, "the end of all work")

    # what is ours

    def _command(self, *arguments: str, given: str | None = None, **environ: str) -> None:
        with logging_as_before():
            done = CliRunner().invoke(main, arguments, input=given, env={**self.environ, **environ})
        name = f"{len(list(self.leg.folder.iterdir()))}-{arguments[0]}.out"
        (self.leg.folder / name).write_text(f"{arguments[0]}: {done.exit_code}\n{done.output}{done.exception!r}")

    @contextmanager
    def _console(self) -> Iterator[httpx.Client]:
        """A browser in which the user is signed in."""
        with (self.leg.folder / "console.log").open("wb") as log:
            running = subprocess.Popen(
                [sys.executable, "-m", "listener.cli", "console"],
                env={**self.environ, "DATABASE_URL": self.web},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            eventually(lambda: answers(self.console_url) or running.poll() is not None, "the console", 60)
            cookies = {"crm_sync_token": self.jwt}
            with httpx.Client(base_url=self.console_url, cookies=cookies, timeout=20) as browser:
                browser.event_hooks["response"].append(self._note)
                stream = Thread(target=self._hear, args=(dict(cookies),), daemon=True)
                stream.start()
                yield browser
            running.terminate()
            stream.join(10)
            running.wait(30)
        finally:
            running.kill()
            running.wait(30)

    def _hear(self, cookies: dict[str, str]) -> None:
        """All that goes over the live stream of an open page, until the console ends it."""
        heard: list[str] = []
        with (
            httpx.Client(base_url=self.console_url, cookies=cookies, timeout=60) as browser,
            browser.stream("GET", "/events") as response,
            suppress(httpx.HTTPError),
        ):
            heard.append(f"{response.headers}\n")
            heard.extend(response.iter_text())
        self.leg.answers.append(("/events", "".join(heard)))

    def _note(self, response: httpx.Response) -> None:
        response.read()
        self.leg.answers.append((response.request.url.path, f"{response.headers}\n{response.text}"))

    def _post(self, browser: httpx.Client, path: str, **options: Any) -> httpx.Response:
        csrf = CSRF.search(browser.get("/integrations").text) or CSRF.search(browser.get("/sign-in").text)
        assert csrf is not None
        return browser.post(path, headers={"x-csrf-token": csrf[1], "hx-request": "true"}, **options)

    def _connect(self, browser: httpx.Client, portal: Portal) -> int:
        begun = self._post(browser, "/api/integrations/hubspot/connect", json={})
        url = begun.json()["authUrl"]
        self.leg.secret("state", dict(parse_qsl(urlsplit(url).query))["state"])
        where, query = consent(url, self.shop.kit.choice, portal.hub_id)
        self.leg.secret("code", query["code"])
        back = browser.get(urlsplit(where).path, params=query).headers["location"]
        assert "error" not in back, back
        mine = "select id from public.user_integrations where organization_id = %s and name = 'default'"
        return int(self.leg.house.value(mine, self.organization))

    def _quoted(self, portal: Portal | None) -> str:
        """All that a CRM has heard in the newest calls: tokens, and people from the newest on."""
        grants = self.hubspot.grants
        tokens = [token for token, held in grants._access.items() if held.portal is portal and held.expires][-1:]
        tokens += [token for token, held in grants._refresh.items() if held is portal][-1:]
        return " ".join([*tokens, *reversed(self.leg.people.texts)])

    def _meet_errors(self, number: int, portal: Portal, token: str = "") -> None:
        for harm in TELLING[: 2 if token else None]:
            said = json.dumps(token + " " + self._quoted(None if token else portal))[1:-1]
            told = json.loads(json.dumps(harm).replace("{}", said))
            self.hubspot.faults.add(Fault(path=WORKS_ON, account=portal.hub_id, times=2, **told))
            self._reply(number)
            self.hubspot.faults.clear()

    def _visit(self, browser: httpx.Client, number: int) -> None:
        """Pages, and mistakes in which everything is repeated."""
        mine = f"/integrations/{number}"
        for path in ("/dashboard", "/integrations", mine, "/contacts", "/activity", "/activity.csv", "/failures"):
            assert browser.get(path).status_code == 200, path
        assert browser.get(f"/contacts/{self.contact}").status_code == 200
        token, address = self.leg.secret("token that a member mistypes"), self.leg.people.texts[-1]
        for query in (address, self.email, "%00", "\x00"):
            browser.get("/contacts", params={"q": query})
            browser.get("/activity", params={"q": query, "before": query, "contact": query})
        for path in (f"/{address}", f"/contacts/{address}", f"/activity/{token}", f"/integrations/{token}"):
            browser.get(path)
        browser.get("/api/integrations/hubspot/callback", params={"code": token, "state": token})
        browser.get("/api/integrations/hubspot/callback", params={"code": token, "error": token})
        self._post(browser, "/api/integrations/hubspot/connect", content=f'{{"name": "{token}')
        self._post(browser, "/sign-in", data={"token": token})
        for form in ("settings", "mappings", "filters", "documents"):
            self._post(
                browser, f"{mine}/{form}", data={"deal_amount": address, "sync_settings": f'{{"{token}', "x": token}
            )
        browser.cookies.set("crm_sync_token", self.jwt, domain="127.0.0.1")

    def _ask(self, number: int) -> None:
        """Commands of an operator; of the database's owner where the daemon's login may not look."""
        owner = {"DATABASE_URL": self.leg.url}
        contact, message = str(self.contact), str(self.message)
        for command in ("status", "failures", "stuck", "alerts", "diagnose", "changes", "workers", "oldest", "sizes"):
            self._command(command, "--json", **owner)
        for command in ("timeline", "personal-data"):
            self._command(command, contact, "--json", **owner)
        self._command("explain", message, "--json", **owner)
        self._command("plan", contact, str(number), "--json", **owner)
        for command in ("status", "failures", "diagnose", "test-webhook"):
            self._command(command, **owner)
        self._command("config", "export", **owner)
        self._command("explain", message, **owner)
        self._command("sign-in-link", "--user", self.email, **owner)
        self._command("retry", "--integration", str(number))
        self._command("resync", contact)
        self._command("backfill", str(number))
        self._command("status", DATABASE_URL=self.leg.url.replace("@", "x@"))
        self._command("status", DATABASE_URL="postgresql://" + self.leg.secret("password mistyped") + "@[/x")

    def _end(self, browser: httpx.Client, number: int, portal: Portal) -> None:
        """Connected anew, refused by the CRM, connected again and disconnected."""
        house = self.leg.house
        self._connect(browser, portal)
        said = f"{self.hubspot.client_secret} {self._quoted(portal)}"
        refusal = {"status": said, "error": "invalid_client", "error_description": said, "message": said}
        self.hubspot.faults.add(Fault(path="/token$", method="POST", status=400, body=refusal, times=9))
        portal.expire_tokens()
        self._reply(number)
        assert house.value(LOST, number)
        self.hubspot.faults.clear()
        self._connect(browser, portal)
        portal.revoke()
        self._reply(number)
        assert house.value(LOST, number)
        self._connect(browser, portal)
        self._post(browser, f"/integrations/{number}/disconnect")
        assert house.value("select credentials is null from public.user_integrations where id = %s", number)
        eventually(lambda: not house.value("select count(*) from crm_sync.revocations"), "the end of the token")
        with suppress(httpx.HTTPError):
            browser.get("/integrations")
