"""Messages to a receiver, whatever is in them, whatever it answers, and whatever somebody sets."""

from __future__ import annotations

import base64
import string
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from listener.webhook_settings import WebhookSettings
from providers import webhook
from tests.fuzz import looking

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
NOW = 1_795_000_000
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
BODIES = st.text().map(lambda text: text.encode(errors="replace"))


def moment_of(timestamp: int) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


@given(keys=st.lists(st.binary(min_size=24, max_size=64), min_size=1, max_size=3), name=IDS, body=BODIES)
@looking(150)
def test_each_key_signs_as_the_standards_library_does(keys: list[bytes], name: str, body: bytes) -> None:
    ours = webhook.signatures(keys, name, NOW, body).split(" ")
    judges = [Webhook("whsec_" + base64.b64encode(key).decode()) for key in keys]
    assert ours == [judge.sign(name, moment_of(NOW), body.decode()) for judge in judges]


@given(body=BODIES, name=IDS, data=st.data())
@looking(150)
def test_no_change_of_a_message_keeps_its_signature(body: bytes, name: str, data: st.DataObject) -> None:
    timestamp = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": webhook.signatures([b"k" * 32], name, timestamp, body),
    }
    part = data.draw(st.sampled_from(("body", "webhook-id", "webhook-timestamp")))
    whole = body if part == "body" else headers[part].encode()
    at = data.draw(st.integers(0, len(whole)))
    letter = data.draw(st.sampled_from(string.ascii_letters + string.digits + ". "))
    changed = whole[:at] + letter.encode() + whole[at + data.draw(st.integers(0, 1)) :]
    if changed == whole or (part == "webhook-timestamp" and changed.strip().lstrip(b"0") == whole):
        return  # the same, or the same number
    sent = changed if part == "body" else body
    told = headers if part == "body" else {**headers, part: changed.decode()}
    with pytest.raises((WebhookVerificationError, ValueError)):  # the latter is the library's own, of what is no UTF-8
        Webhook(SECRET).verify(sent, told)


@given(
    status=st.integers(200, 599),
    headers=st.lists(
        st.tuples(
            st.sampled_from(("retry-after", "location", "content-length", "content-encoding", "x")),
            st.text(alphabet=string.printable[:95], max_size=30)
            | st.sampled_from(("9" * 400, "-1", "NaN", "inf", "gzip")),
        ),
        max_size=4,
    ),
    body=st.binary(max_size=60),
)
@looking(100)
async def test_whatever_a_receiver_answers_is_an_answer(
    status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    url = "https://alerts.example/hook-with-a-token"
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        came = await webhook.send(url, [b"k" * 32], "m", b"{}", http)
    assert came.status == status
    assert (came.problem is None) == (status < 300)
    assert "hook-with" not in (came.problem or "")
    assert came.wait is None or 0 <= came.wait < 1e12


PIECES = (
    *(
        "https://",
        "http://",
        "HTTPS://",
        "ftp://",
        "//",
        "alerts.example",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "evil.example",
    ),
    *(
        "@",
        ":",
        "#",
        "?",
        "/",
        "\\",
        "%",
        "%00",
        "\r\n",
        "\t",
        " ",
        "\0",
        "user:word@",
        ":0",
        ":443",
        ":99999",
        ":-1",
        "é",
        "\ud800",
    ),
    *(".", "..", "x", "127.1", "0x7f.1", "\u3002", "[", "]", "&"),
)


@given(url=st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=20))
@looking(300)
def test_any_address_is_taken_as_a_client_reads_it_or_refused_in_words(url: str) -> None:
    try:
        taken = WebhookSettings(webhook_url=url, webhook_secret=SECRET).webhook_url
    except ValidationError:
        return
    assert taken is not None
    assert not any(letter.isspace() or not letter.isprintable() for letter in taken), ascii(taken)
    read = httpx.URL(taken)
    assert read.scheme == "https" or read.host in ("127.0.0.1", "localhost", "::1")
    assert read.host
    assert not read.userinfo
    httpx.Request("POST", taken)


@given(secret=st.text(max_size=60) | st.text(alphabet="whsec_+/=AZaz09 \n\t", max_size=120))
@looking(150)
def test_any_secret_makes_keys_or_is_refused_without_repeating_it(secret: str) -> None:
    try:
        made = WebhookSettings(webhook_url="https://a.example", webhook_secret=secret)
    except (ValidationError, ValueError) as refused:
        quoted = str(refused)
        assert len(secret) < 12 or secret not in quoted
        return
    assert made.webhook_keys
    assert all(24 <= len(key) <= 64 for key in made.webhook_keys)
