"""Messages to the operator's receiver: the library of the standard itself is the judge of their signatures."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.responses import RedirectResponse, Response

from providers import webhook
from providers.base import open_http
from tests.receiver import PATH, Receiver, receiver, without_end

BODY = json.dumps({"type": "alert.raised", "data": {"words": "Zürich: nothing is sent"}}).encode()


def secret() -> tuple[str, bytes]:
    key = os.urandom(32)
    return "whsec_" + base64.b64encode(key).decode(), key


@pytest.fixture
def post() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with open_http(2) as opened:
        yield opened


async def test_the_standards_own_library_accepts_what_is_sent(post: Receiver, http: httpx.AsyncClient) -> None:
    text, key = secret()
    answer = await webhook.send(post.url, [key], "msg-1", BODY, http)
    assert answer == (204, None, None)
    (came,) = post.received
    assert (came.path, came.body) == (PATH, BODY)
    assert came.headers["content-type"] == "application/json"
    assert came.headers["webhook-id"] == "msg-1"
    assert abs(int(came.headers["webhook-timestamp"]) - time.time()) < 60
    assert Webhook(text).verify(came.body, came.headers) == json.loads(BODY)
    ours = webhook.signatures([key], "msg-1", int(came.headers["webhook-timestamp"]), BODY)
    moment = datetime.fromtimestamp(int(came.headers["webhook-timestamp"]), UTC)
    assert ours == Webhook(text).sign("msg-1", moment, BODY.decode())


async def test_what_was_tampered_with_is_accepted_by_nobody(post: Receiver, http: httpx.AsyncClient) -> None:
    text, key = secret()
    await webhook.send(post.url, [key], "msg-1", BODY, http)
    (came,) = post.received
    later = str(int(came.headers["webhook-timestamp"]) + 1)
    for body, headers, judge in (
        (came.body.replace(b"nothing", b"evrythng"), came.headers, text),
        (came.body, {**came.headers, "webhook-id": "msg-2"}, text),
        (came.body, {**came.headers, "webhook-timestamp": later}, text),
        (came.body, came.headers, secret()[0]),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(judge).verify(body, headers)


async def test_while_secrets_are_rotated_receivers_with_the_old_and_with_the_new_one_accept_it(
    post: Receiver, http: httpx.AsyncClient
) -> None:
    (new, new_key), (old, old_key), (other, _) = secret(), secret(), secret()
    await webhook.send(post.url, [new_key, old_key], "msg-1", BODY, http)
    (came,) = post.received
    assert len(came.headers["webhook-signature"].split(" ")) == 2
    for known in (new, old):
        Webhook(known).verify(came.body, came.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(came.body, came.headers)


@pytest.mark.parametrize(
    ("given", "status", "problem"),
    [
        (200, 200, None),
        (202, 202, None),
        (400, 400, "the receiver answered HTTP 400"),
        (500, 500, "the receiver answered HTTP 500"),
        (410, 410, "the receiver says that it is gone (HTTP 410)"),
        (RedirectResponse("/elsewhere", 307), 307, "the receiver redirects (HTTP 307), which is not followed"),
        (RedirectResponse("/elsewhere", 302), 302, "the receiver redirects (HTTP 302), which is not followed"),
    ],
)
async def test_an_answer_is_what_its_status_says(
    post: Receiver, http: httpx.AsyncClient, given: int | Response, status: int, problem: str | None
) -> None:
    post.answers.append(given)
    answer = await webhook.send(post.url, [b"k" * 32], "msg-1", BODY, http)
    assert (answer.status, answer.problem, answer.is_gone) == (status, problem, status == 410)
    assert [came.path for came in post.received] == [PATH]


async def test_a_receiver_that_asks_for_time_gets_it(post: Receiver, http: httpx.AsyncClient) -> None:
    post.answers.append(Response(status_code=503, headers={"retry-after": "90"}))
    answer = await webhook.send(post.url, [b"k" * 32], "msg-1", BODY, http)
    assert answer == (503, "the receiver answered HTTP 503", 90.0)


async def test_the_body_of_an_answer_is_not_read(post: Receiver, http: httpx.AsyncClient) -> None:
    post.answers.append(without_end())
    begun = time.monotonic()
    answer = await webhook.send(post.url, [b"k" * 32], "msg-1", BODY, http)
    assert answer == (200, None, None)
    assert time.monotonic() - begun < 12


async def test_who_does_not_answer_or_is_not_there_is_named_without_the_url(
    post: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(_request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("reading " + post.url)

    async with httpx.AsyncClient(transport=httpx.MockTransport(late)) as slow, open_http(1) as http:
        answers = [
            await webhook.send(post.url, [b"k" * 32], "msg-1", BODY, slow),
            await webhook.send("http://127.0.0.1:1/hook-with-a-token", [b"k" * 32], "msg-1", BODY, http),
        ]
    assert answers == [
        (None, "the receiver did not answer within 15 s (ReadTimeout)", None),
        (None, "the receiver cannot be reached (ConnectError)", None),
    ]
