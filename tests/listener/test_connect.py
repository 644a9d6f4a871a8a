"""crm-sync connect and disconnect, as a process on a terminal with a browser beside it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import pytest

from sandbox.ports import free_port
from tests.house import eventually
from tests.listener.browser import consent
from tests.listener.daemons import ROOT, environment
from tests.listener.shop import Shop

OPENED = "select credentials from crm_sync.open_credentials(%s)"


def run(environ: Mapping[str, str], *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "listener.cli", *arguments],
        env=dict(environ),
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Terminal:
    """A command that runs, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def url(self) -> str:
        """The page it asks to open."""
        found = eventually(lambda: re.search(r"^  (http\S+)$", self.said, re.M) or self.process.poll() is not None)
        assert isinstance(found, re.Match), self.said
        return found[1]

    def end(self) -> int:
        status = self.process.wait(60)
        self._reader.join(30)
        return status


@contextmanager
def terminal(environ: Mapping[str, str], *arguments: str) -> Iterator[Terminal]:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "listener.cli", *arguments],
        env=dict(environ),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = Terminal(process)
    with process:
        try:
            yield running
        finally:
            if process.poll() is None:
                process.kill()
            running.end()


def come_back(where: str, query: Mapping[str, str]) -> httpx.Response:
    return httpx.get(where, params=query)


def test_an_operator_connects_each_crm_with_a_browser(each_shop: Shop, database: str) -> None:
    shop, organization, port = each_shop, each_shop.house.organization(), free_port()
    account = shop.kit.account(shop.crm, shop.url)
    command = ("connect", shop.crm.name, "--organization", str(organization), "--port", str(port), "--no-browser")
    with terminal(environment(database), *command) as running:
        url = running.url()
        where, query = consent(url, shop.kit.choice, account.number)
        assert where == f"http://127.0.0.1:{port}/callback"
        assert where in running.said
        # what other pages of the same browser may call changes nothing
        assert come_back(where, {"code": "forged", "state": "forged"}).status_code == 400
        assert come_back(where, {"code": query["code"]}).status_code == 400
        assert httpx.get(f"{where}?state={query['state']}&state=x&code=forged").status_code == 400
        assert httpx.get(where.replace("callback", "other"), params=query).status_code == 404
        assert httpx.post(where, params=query).status_code == 404
        answer = come_back(where, query)
        assert (answer.status_code, answer.headers["referrer-policy"]) == (200, "no-referrer")
        assert query["code"] not in answer.text
        assert running.end() == 0, running.said
    assert "Connected: " in running.said
    assert query["code"] not in running.said
    row = shop.house.rows("select organization_id, status, account_id, account_name from user_integrations")
    assert [each[:2] for each in row] == [(organization, "connected")]
    assert f"{row[0][3]} ({row[0][2]})" in running.said


def test_a_refusal_on_the_consent_page_ends_the_command_in_plain_words(shop: Shop, database: str) -> None:
    account, port = shop.kit.account(shop.crm, shop.url), free_port()
    organization = str(shop.house.organization())
    command = ("connect", "hubspot", "--organization", organization, "--port", str(port), "--no-browser")
    with terminal(environment(database), *command) as running:
        come_back(*consent(running.url(), shop.kit.choice, account.number, "deny"))
        assert running.end() == 1
    assert "access_denied" in running.said
    assert "Consent was refused" in running.said
    assert shop.house.value("select count(*) from user_integrations") == 0


def test_a_registered_redirect_uri_of_this_machine_is_used(shop: Shop, database: str) -> None:
    port = free_port()
    mine = f"http://localhost:{port}/oauth/hubspot"
    environ = environment(database, HUBSPOT_REDIRECT_URI=mine)
    command = ("connect", "hubspot", "--organization", str(shop.house.organization()), "--no-browser")
    with terminal(environ, *command) as running:
        where, query = consent(running.url(), "hub_id", shop.kit.account(shop.crm, shop.url).number)
        assert where == mine
        assert come_back(where, query).status_code == 200
        assert running.end() == 0, running.said


def test_a_port_that_is_taken_is_named_with_what_to_do(shop: Shop, database: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = ("connect", "hubspot", "--organization", str(shop.house.organization()), "--port", port)
        done = run(environment(database), *command, "--no-browser")
    assert done.returncode == 1
    assert "choose another --port" in done.stderr
    assert shop.house.value("select count(*) from crm_sync.authorizations") == 0


def token_of(shop: Shop) -> tuple[str, list[str]]:
    """A token that does not expire, where the CRM has such, and the options that go with it."""
    credentials = shop.kit.account(shop.crm, shop.url).credentials(oauth=False)
    place = credentials.get("instance_url") or credentials.get("api_domain")
    return credentials["access_token"], ["--instance-url", place] if place else []


def test_a_token_from_standard_input_is_tried_and_stored_sealed(each_shop: Shop, database: str) -> None:
    shop, organization = each_shop, each_shop.house.organization()
    token, options = token_of(shop)
    command = ("connect", shop.crm.name, "--organization", str(organization), "--token-stdin", *options)
    done = run(environment(database), *command, given=f"{token}\n")
    assert done.returncode == 0, done.stderr
    assert token not in done.stdout + done.stderr
    rows = shop.house.rows(
        "select id, status, account_id is not null, credentials like 'sealed:%%' from user_integrations"
    )
    assert [row[1:] for row in rows] == [("connected", True, True)]
    assert shop.house.value(OPENED, rows[0][0])["access_token"] == token


def test_a_token_that_does_not_work_is_refused_unless_one_insists(each_shop: Shop, database: str) -> None:
    shop, organization = each_shop, each_shop.house.organization()
    _, options = token_of(shop)
    command = ("connect", shop.crm.name, "--organization", str(organization), "--token-stdin", *options)
    done = run(environment(database), *command, given="no-such-token")
    assert done.returncode == 1
    assert "connection_failed" in done.stderr
    assert "no-such-token" not in done.stdout + done.stderr
    assert shop.house.value("select count(*) from user_integrations") == 0
    done = run(environment(database), *command, "--unchecked", given="no-such-token")
    assert done.returncode == 0, done.stderr
    assert shop.house.rows("select status, account_id from user_integrations") == [("connected", None)]


@pytest.mark.parametrize("given", ["", "\n", "two words", "two\nlines", "x" * 10_001, "caf\u00e9"])
def test_what_is_no_token_is_refused(shop: Shop, database: str, given: str) -> None:
    command = ("connect", "hubspot", "--organization", str(shop.house.organization()), "--token-stdin")
    done = run(environment(database), *command, given=given)
    assert (done.returncode, "no token on one line" in done.stderr) == (2, True)


def test_a_token_is_sent_to_no_strangers_host(shop: Shop, database: str) -> None:
    command = ("connect", "salesforce", "--organization", str(shop.house.organization()), "--token-stdin")
    done = run(environment(database), *command, "--instance-url", "https://evil.example", given="t")
    assert done.returncode == 1
    assert "evil.example" in done.stderr
    assert shop.house.value("select count(*) from user_integrations") == 0


def test_another_account_is_answered_with_what_to_run(shop: Shop, database: str) -> None:
    organization = shop.house.organization()
    command = ("connect", "hubspot", "--organization", str(organization), "--token-stdin")
    assert run(environment(database), *command, given=token_of(shop)[0]).returncode == 0
    done = run(environment(database), *command, given=token_of(shop)[0])
    assert done.returncode == 0, done.stderr
    integration = shop.house.value("select id from user_integrations")
    statement = re.search(rf"select (crm_sync\.adopt_account\({integration}, false\))", done.stdout)
    assert statement is not None
    assert shop.house.value("select status from user_integrations") == "error"
    assert shop.house.connection.execute(f"select {statement[1]}".encode()).fetchone()
    assert shop.house.value("select status from user_integrations") == "connected"


def test_disconnecting_says_what_it_did(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    number = str(tenant.integration)
    assert run(environment(database), "disconnect", number).stdout == "Disconnected.\n"
    assert run(environment(database), "disconnect", number).stdout == "It was disconnected already.\n"
    assert shop.house.rows("select status, credentials from user_integrations") == [("disconnected", None)]
    unknown = run(environment(database), "disconnect", "99")
    assert unknown.returncode != 0
    assert "there is no connection 99" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("connect", "hubspot"), "organization"),
        (("connect", "hubspot", "--organization", "x"), "not a valid UUID"),
        (
            ("connect", "hubspot", "--organization", "00000000-0000-0000-0000-000000000001", "--unchecked"),
            "--token-stdin",
        ),
        (
            ("connect", "nobody", "--organization", "00000000-0000-0000-0000-000000000001", "--no-browser"),
            "no such CRM",
        ),
        (
            ("connect", "hubspot", "--organization", "00000000-0000-0000-0000-000000000001", "--no-browser"),
            "not yours to connect",
        ),
    ],
)
def test_what_makes_no_sense_is_said_and_connects_nothing(
    shop: Shop, database: str, arguments: tuple[str, ...], words: str
) -> None:
    port = ["--port", str(free_port())] if "--no-browser" in arguments else []
    done = run(environment(database), *arguments, *port)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
