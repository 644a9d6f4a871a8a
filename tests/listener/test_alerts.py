"""The daemon looks at the conditions and carries messages about them to the operator's receiver."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from listener import logs
from listener.alerts import Alerts
from listener.db import Database
from listener.errors import Refusal
from listener.settings import Settings
from providers.base import open_http
from tests.house import House
from tests.listener.daemons import ask, daemon, environment, settings_for
from tests.receiver import PATH, Receiver, receiver

SECRET = "whsec_" + base64.b64encode(b"a secret that is long enough for it").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the secret that was there before it").decode()


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """What a test has configured leads to a stream that ends with it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def post() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def settings(database: str, post: Receiver) -> Settings:
    return settings_for(database, webhook_url=post.url, webhook_secret=SecretStr(f"{SECRET} {OLD_SECRET}"))


@asynccontextmanager
async def watching(settings: Settings, count: int = 1) -> AsyncIterator[None]:
    """So many that look and tell, several times a second."""
    database = await Database.open(settings)
    try:
        async with open_http(4) as http:
            tasks = [asyncio.create_task(Alerts(database, settings, http, 0.05).run()) for _ in range(count)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
    finally:
        await database.close()


async def comes_true(house: House, query: str) -> Any:
    async with asyncio.timeout(30):
        while not (found := house.connection.execute(query.encode()).fetchone()):
            await asyncio.sleep(0.02)
    return found[0]


def lose(house: House) -> int:
    """A connection that needs a person."""
    house.connection.execute("delete from crm_sync.alert_rules where name = 'no_worker_alive'")
    integration = house.integration(house.organization())
    house.connection.execute("update public.user_integrations set status = 'error'")
    return integration


async def test_what_is_raised_and_cleared_is_told_once_by_whoever_comes_first(
    house: House, database: str, post: Receiver
) -> None:
    async with watching(settings(database, post), count=3):
        await comes_true(house, "select 1 from crm_sync.webhooks")
        integration = lose(house)
        await comes_true(house, "select 1 from crm_sync.deliveries where delivered_at is not null")
        house.connection.execute("update public.user_integrations set status = 'connected'")
        await comes_true(house, "select 1 from crm_sync.deliveries where delivered_at is not null offset 1")
    told = [Webhook(SECRET).verify(came.body, came.headers) for came in post.received]
    assert [each["type"] for each in told] == ["alert.raised", "alert.cleared"]
    assert {each["data"]["integration_id"] for each in told} == {integration}
    Webhook(OLD_SECRET).verify(post.received[0].body, post.received[0].headers)
    assert len({came.headers["webhook-id"] for came in post.received}) == 2
    assert house.rows("select count(*), count(cleared_at) from crm_sync.alerts") == [(1, 1)]


async def test_a_receiver_that_fails_and_then_succeeds_gets_the_same_message_and_no_secret_is_told_to_anybody(
    house: House, database: str, post: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(settings(database, post))
    post.answers.extend([500, 302])
    async with watching(settings(database, post)):
        await comes_true(house, "select 1 from crm_sync.webhooks")
        lose(house)
        for attempts in (1, 2):
            await comes_true(
                house, f"select 1 from crm_sync.deliveries where attempts = {attempts} and last_error > ''"
            )
            house.connection.execute("update crm_sync.deliveries set next_attempt_at = now()")
        await comes_true(house, "select 1 from crm_sync.deliveries where delivered_at is not null")
    first, second, third = post.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == third.headers["webhook-id"]
    assert first.body == second.body == third.body
    assert house.rows("select attempts, last_status, last_error from crm_sync.deliveries") == [(3, 204, None)]
    said = capsys.readouterr()
    events = [json.loads(line)["event"] for line in said.err.splitlines()]
    assert events.count("webhook_not_delivered") == 2
    assert events.count("webhook_delivered") == 1
    stored = "".join(
        str(house.rows(query))
        for query in (
            "select * from crm_sync.deliveries",
            "select * from crm_sync.webhooks",
            "select * from crm_sync.alerts",
            "select query from pg_stat_activity where pid <> pg_backend_pid()",
        )
    )
    for words in (said.out + said.err, stored):
        for secret in (SECRET, OLD_SECRET, SECRET.removeprefix("whsec_"), PATH):
            assert secret not in words


async def test_a_receiver_that_is_gone_is_left_in_peace_and_the_log_says_so(
    house: House, database: str, post: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(settings(database, post))
    post.answers.append(410)
    async with watching(settings(database, post)):
        await comes_true(house, "select 1 from crm_sync.webhooks")
        lose(house)
        await comes_true(house, "select 1 from crm_sync.webhooks where gone_at is not null")
        house.connection.execute("update public.user_integrations set status = 'connected'")
        await comes_true(house, "select 1 from crm_sync.alerts where cleared_at is not null")
        house.connection.execute("update public.user_integrations set status = 'error'")
        await comes_true(house, "select 1 from crm_sync.alerts offset 1")
    assert len(post.received) == 1
    assert "webhook_gone" in capsys.readouterr().err
    assert house.rows("select given_up_at is not null, last_status from crm_sync.deliveries") == [(True, 410)]


async def test_a_fault_of_the_database_ends_no_look(
    house: House, database: str, post: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(settings(database, post))
    async with watching(settings(database, post)):
        await comes_true(house, "select 1 from crm_sync.webhooks")
        house.connection.execute("alter function crm_sync.check_alerts(interval) rename to check_away")
        house.connection.execute("alter function crm_sync.claim_delivery(text) rename to claim_away")
        said = ""
        async with asyncio.timeout(30):
            while not ("checking_alerts_failed" in said and "delivering_failed" in said):
                said += capsys.readouterr().err
                await asyncio.sleep(0.02)
        house.connection.execute("alter function crm_sync.check_away(interval) rename to check_alerts")
        house.connection.execute("alter function crm_sync.claim_away(text) rename to claim_delivery")
        lose(house)
        await comes_true(house, "select 1 from crm_sync.deliveries where delivered_at is not null")


def test_a_daemon_looks_by_itself(house: House, database: str) -> None:
    integration = lose(house)
    with daemon(database):
        asyncio.run(comes_true(house, "select 1 from crm_sync.alerts"))
    assert house.rows("select integration_id, rule from crm_sync.alerts") == [(integration, "connection_lost")]


@pytest.mark.parametrize(
    ("url", "secret", "words"),
    [
        ("http://alerts.example.com/", SECRET, "CRM_SYNC_WEBHOOK_URL: it must begin with https://"),
        ("ftp://alerts.example.com/", SECRET, "CRM_SYNC_WEBHOOK_URL: write it as https://"),
        ("alerts.example.com", SECRET, "CRM_SYNC_WEBHOOK_URL: write it as https://"),
        ("https://:0/x", SECRET, "CRM_SYNC_WEBHOOK_URL: write it as https://"),
        ("https://[::1", SECRET, "CRM_SYNC_WEBHOOK_URL: write it as https://"),
        ("https://user:password@alerts.example.com/", SECRET, "CRM_SYNC_WEBHOOK_URL: it must hold no user name"),
        ("https://alerts.example.com/", "", "both or neither"),
        ("", SECRET, "both or neither"),
        ("https://alerts.example.com/", "whsec_c2hvcnQ=", "CRM_SYNC_WEBHOOK_SECRET: each secret is whsec_ and base64"),
        ("https://alerts.example.com/", f"{SECRET} short", "CRM_SYNC_WEBHOOK_SECRET: each secret is whsec_"),
        ("https://alerts.example.com/", SECRET.removeprefix("whsec_"), "CRM_SYNC_WEBHOOK_SECRET: each secret is"),
        ("https://alerts.example.com/", "whsec_" + "A" * 92, "CRM_SYNC_WEBHOOK_SECRET: each secret is"),
    ],
)
def test_settings_that_make_no_sense_are_refused_without_repeating_the_secret(
    url: str, secret: str, words: str
) -> None:
    environ = {
        **environment("postgresql://localhost/x"),
        "CRM_SYNC_WEBHOOK_URL": url,
        "CRM_SYNC_WEBHOOK_SECRET": secret,
    }
    with pytest.raises(Refusal, match="CRM_SYNC_WEBHOOK") as refused:
        Settings.from_environment(environ)
    assert words in str(refused.value)
    for word in secret.split():
        assert word not in str(refused.value)
    assert "password@" not in str(refused.value)


def test_the_command_sends_one_signed_test_and_prints_the_status(post: Receiver) -> None:
    environ = {"CRM_SYNC_WEBHOOK_URL": post.url, "CRM_SYNC_WEBHOOK_SECRET": f"{SECRET}\n{OLD_SECRET}\n"}
    done = ask(environ, "test-webhook")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("delivered: HTTP 204, webhook-id ")
    (came,) = post.received
    assert Webhook(OLD_SECRET).verify(came.body, came.headers)["type"] == "webhook.test"
    post.answers.append(500)
    refused = ask(environ, "test-webhook")
    assert (refused.exit_code, refused.stderr) == (69, "crm-sync: the receiver answered HTTP 500\n")
    missing = ask({}, "test-webhook")
    assert missing.exit_code == 78
    assert "are not set" in missing.stderr
