"""Whoever answers in a CRM's place gets no token without a certificate, and no more of us than an answer is worth."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import ipaddress
import json
import ssl
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from providers import client_for, oauth, webhook
from providers.answers import MAX_RESPONSE_BYTES, TooLargeError, decode_json, id_in
from providers.base import open_http
from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.errors import ProviderError, Unauthorized, Unavailable, Unexpected
from providers.paging import MAX_PAGES, Pages
from tests.providers.contract import Budget

SECRET = "a-token-that-nobody-may-see"
MEGABYTE = 1024 * 1024


class Fixed:
    """Tokens that are never renewed."""

    def __init__(self, token: str = SECRET) -> None:
        self._credentials = Credentials(access_token=SecretStr(token))

    async def current(self) -> Credentials:
        return self._credentials

    async def refresh(self, stale: Credentials) -> Credentials:
        raise AssertionError("nobody said 401")


class Listener(NamedTuple):
    """Somebody who answers."""

    url: str
    heard: bytearray


@asynccontextmanager
async def answering(
    *parts: bytes, trust: ssl.SSLContext | None = None, is_endless: bool = False
) -> AsyncIterator[Listener]:
    """Whatever is asked gets these bytes; `is_endless`: the last of them again and again."""
    heard = bytearray()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.extend(await reader.readuntil(b"\r\n\r\n"))
            for part in parts:
                writer.write(part)
                await writer.drain()
            while is_endless:
                writer.write(parts[-1])
                await writer.drain()
                await asyncio.sleep(0.02)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=trust)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Listener(f"{'http' if trust is None else 'https'}://127.0.0.1:{port}", heard)


def config_of(url: str, seconds: float = 5.0) -> ProviderConfig:
    return ProviderConfig(
        api_base_url=url,
        api_version="1",
        auth_url=f"{url}/a",
        token_url=f"{url}/t",
        revoke_url=f"{url}/r",
        timeout_seconds=seconds,
    )


async def ask(url: str, *, seconds: float = 5.0, token: str = SECRET) -> object:
    async with open_http(2) as http:
        client = client_for("hubspot")(config_of(url, seconds), Fixed(token), Budget(), http)
        return await client.call("GET", "/x", limit="core")


async def refusal(url: str, *, seconds: float = 5.0, token: str = SECRET) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(url, seconds=seconds, token=token)
    assert SECRET not in repr(caught.value.__dict__)
    return caught.value


async def ask_for_tokens(url: str, seconds: float = 5.0) -> oauth.TokenAnswer:
    async with open_http(2) as http:
        return await oauth.refresh(config_of(url, seconds), "app", SecretStr(SECRET), SecretStr(SECRET), http)


def answer_of(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority of a test")])
        self.pem = folder / "authority.pem"
        certificate = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: str, is_expired: bool = False) -> ssl.SSLContext:
        """What a server of these names shows."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        entries: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names
        ]
        certificate = self._signed(subject, key, x509.SubjectAlternativeName(entries), is_expired=is_expired)
        path = self._folder / f"{names[0]}-{is_expired}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, more: x509.ExtensionType, *, is_expired: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        end = now + datetime.timedelta(days=-1 if is_expired else 1)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(end)
            .add_extension(more, critical=False)
            .sign(self._key, hashes.SHA256())
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The same, taken for one of the world's by whatever httpx makes."""
    make = ssl.SSLContext

    def trust(**_named: object) -> ssl.SSLContext:
        context = make(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority.pem)
        return context

    monkeypatch.setattr(ssl, "create_default_context", trust)
    return authority


async def test_a_server_with_a_proper_certificate_is_spoken_to(trusted: Authority) -> None:
    async with answering(answer_of(b'{"a": 1}'), trust=trusted.server("127.0.0.1")) as listener:
        assert await ask(listener.url) == {"a": 1}
        assert SECRET.encode() in listener.heard


@pytest.mark.parametrize("fault", ["another name", "expired"])
async def test_a_server_of_another_name_or_of_the_past_gets_no_byte_of_a_request(
    trusted: Authority, fault: str
) -> None:
    context = trusted.server(
        "api.hubapi.com" if fault == "another name" else "127.0.0.1", is_expired=fault == "expired"
    )
    async with answering(answer_of(b"{}"), trust=context) as listener:
        assert (await refusal(listener.url)).code == "TLS_FAILED"
        with pytest.raises(Unavailable) as refused:
            await ask_for_tokens(listener.url)
        assert refused.value.code == "TLS_FAILED"
        async with open_http(1) as http:
            assert (await webhook.send(listener.url, [b"k" * 32], "1", b"{}", http)).status is None
        assert not listener.heard


async def test_no_variable_of_the_environment_makes_us_trust_or_go_round(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with answering(b"", trust=None) as proxy, answering(b"", trust=authority.server("127.0.0.1")) as listener:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
        monkeypatch.setenv("SSL_CERT_DIR", str(authority.pem.parent))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.pem))
        monkeypatch.setenv("CURL_CA_BUNDLE", "")
        monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await refusal(listener.url)).code == "TLS_FAILED"
        assert not listener.heard
        assert not proxy.heard


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nobody_is_sent_elsewhere(status: int) -> None:
    async with answering(answer_of(b'{"access_token": "x"}')) as elsewhere:
        location = f"HTTP/1.1 {status} x\r\nlocation: {elsewhere.url}/y\r\ncontent-length: 0\r\n\r\n".encode()
        async with answering(location) as listener:
            await refusal(listener.url)
            with pytest.raises(ProviderError):
                await ask_for_tokens(listener.url)
            async with open_http(1) as http:
                answer = await webhook.send(listener.url, [b"k" * 32], "1", b"{}", http)
            assert answer.status == status
            assert not elsewhere.heard


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    zeros = b" " * MEGABYTE
    return b"".join(packer.compress(zeros) for _ in range(megabytes)) + packer.flush()


async def test_a_small_answer_that_unpacks_to_a_huge_one_takes_no_memory() -> None:
    packed = bomb(120)
    assert len(packed) < MEGABYTE
    async with answering(answer_of(packed, "content-encoding: gzip")) as listener:
        tracemalloc.start()
        try:
            refused = await refusal(listener.url)
            with pytest.raises(Unavailable):
                await ask_for_tokens(listener.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (type(refused), refused.code, refused.uncertain) == (Unexpected, "TOO_LARGE", True)
    assert peak < 3 * MAX_RESPONSE_BYTES


async def test_what_is_packed_as_we_asked_is_read() -> None:
    body = json.dumps({"words": "ü" * 100_000}).encode()
    async with answering(answer_of(gzip.compress(body), "content-encoding: GZIP")) as listener:
        assert await ask(listener.url) == json.loads(body)
        assert b"accept-encoding: gzip\r\n" in bytes(listener.heard).lower()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}"))),
        ("deflate", zlib.compress(b"{}")),
        ("br", b"\x0b\x01\x80{}\x03"),
        ("zstd", b"\x28\xb5\x2f\xfd\x00\x58\x11\x00\x00{}"),
        ("gzip", b"{}"),
        ("gzip", gzip.compress(b"{}" * 100)[:-9]),
        ("x" * 2000, b"{}"),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_what_is_packed_otherwise_is_no_answer(encoding: str, body: bytes) -> None:
    async with answering(answer_of(body, f"content-encoding: {encoding}")) as listener:
        refused = await refusal(listener.url)
        assert (type(refused), refused.uncertain) == (Unavailable, True)
        with pytest.raises(Unavailable):
            await ask_for_tokens(listener.url)


@pytest.mark.parametrize("header", [b"x-a: " + b"y" * 60_000 + b"\r\n", b"x: y\r\n" * 9_000, b"HTTP/1.1 103 x\r\n\r\n"])
async def test_headers_without_end_are_no_answer(header: bytes) -> None:
    start = b"" if header.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n"
    async with answering(start + header, header, is_endless=True) as listener:
        begun = time.monotonic()
        assert isinstance(await refusal(listener.url, seconds=0.2), Unavailable)
        with pytest.raises(Unavailable):
            await ask_for_tokens(listener.url, seconds=0.2)
        assert time.monotonic() - begun < 15


async def test_a_body_that_drips_in_is_given_up_at_the_token_endpoint_too() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
    async with answering(head, b" ", is_endless=True) as listener:
        begun = time.monotonic()
        assert (await refusal(listener.url, seconds=0.6)).code == "TIMEOUT"
        with pytest.raises(Unavailable) as refused:
            await ask_for_tokens(listener.url, seconds=0.6)
        assert refused.value.code == "TIMEOUT"
        assert time.monotonic() - begun < 15


async def test_a_body_of_any_length_is_not_read_to_its_end_at_the_token_endpoint() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
    async with answering(head, b" " * MEGABYTE, is_endless=True) as listener:
        with pytest.raises(Unavailable):
            await ask_for_tokens(listener.url)


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"[" * 300 + b"]" * 300,
            b"1" * 5_000,
            b"NaN",
            b"[Infinity]",
            b"-Infinity",
        ),
        *(
            b'"\xff"',
            b'"\xed\xa0\xbd"',
            b"\xfe\xff\x00{\x00}",
            b"{}{}",
            b'{"a":1,}',
            b"<html>",
            b"'x'",
            b"\x00",
            b'"a\nb"',
        ),
    ],
    ids=lambda body: repr(body)[:20],
)
async def test_what_is_no_json_of_an_api_is_no_answer(body: bytes) -> None:
    async with answering(answer_of(body)) as listener:
        refused = await refusal(listener.url)
        assert (type(refused), refused.code, refused.uncertain) == (Unavailable, "NOT_JSON", True)
        with pytest.raises(ProviderError):
            await ask_for_tokens(listener.url)


async def test_an_answer_of_more_values_than_memory_is_worth_is_too_large() -> None:
    async with answering(answer_of(b"[" + b"[]," * 1_000_000 + b"[]]")) as listener:
        assert (await refusal(listener.url)).code == "TOO_LARGE"


@pytest.mark.parametrize("token", ["a\r\nx-evil: 1", "tokén", "a b", "\x00", "🙂"])
async def test_a_token_that_no_header_can_hold_is_sent_nowhere(token: str) -> None:
    async with answering(answer_of(b"{}")) as listener:
        refused = await refusal(listener.url, token=token)
        assert (type(refused), refused.code) == (Unauthorized, "CREDENTIALS_DAMAGED")
        assert not listener.heard
    async with answering(answer_of(json.dumps({"access_token": token}).encode())) as listener:
        with pytest.raises(Unexpected) as unusable:
            await ask_for_tokens(listener.url)
        assert unusable.value.code == "NO_ACCESS_TOKEN"


@given(text=st.text(alphabet=st.sampled_from('\x00\ud83d\ude42a\\u0d"é🙂\n'), max_size=30), is_ascii=st.booleans())
@example(text="\\ud83d \\u0000 \\\\u0000", is_ascii=True)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_text_keeps_all_that_postgres_has_characters_for(text: str, is_ascii: bool) -> None:
    body = json.dumps({"a": text}) if is_ascii else json.dumps({"a": text}, ensure_ascii=False)
    try:
        sent = body.encode()
    except UnicodeEncodeError:  # half a pair has no bytes
        sent = json.dumps({"a": text}).encode()
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    found = decode_json(sent)["a"]
    found.encode()
    assert "\x00" not in found
    if ("\ud83d" not in text and "\ude42" not in text) or "\ufffd" not in whole:
        assert found == whole.replace("\x00", "")


@given(
    body=st.one_of(
        st.binary(max_size=60), st.text(alphabet='[]{}":,\\u0d8a1-+.eE NtfI\x00', max_size=40).map(str.encode)
    )
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_bytes_are_a_value_or_no_json_and_nothing_else(body: bytes) -> None:
    try:
        decode_json(body)
    except (ValueError, TooLargeError):
        pass


@pytest.mark.parametrize(
    "value", [None, True, False, 0, -1, 1.5, 10**40, "", " ", "../x", "..", "a/b", "a?b", "x" * 201]
)
def test_what_can_be_no_id_is_none(value: object) -> None:
    assert id_in(value) is None


def test_the_ids_of_the_crms_are_ids() -> None:
    for value in ("51", 51, "003xx000004TmiQAAS", "appointmentscheduled", "default-1"):
        assert id_in(value) == str(value)


def test_a_list_whose_pages_lead_in_a_circle_or_never_end_is_refused() -> None:
    pages = Pages("acme")
    pages.turn_to("a")
    with pytest.raises(Unexpected):
        pages.turn_to("a")
    endless = Pages("acme")
    for number in range(MAX_PAGES):
        endless.turn_to(number)
    with pytest.raises(Unexpected):
        endless.turn_to(MAX_PAGES)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=5,
)
WORDS = ("access_token", "refresh_token", "expires_in", "scope", "scopes", "hub_id", "id", "instance_url", "api_domain")
TOKEN_WORDS = st.sampled_from((*WORDS, "error", "error_description", "status", "message", "correlationId"))


@given(
    status=st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 408, 429, 500, 503]),
    body=st.one_of(st.dictionaries(TOKEN_WORDS, JSON, max_size=8), JSON),
)
@example(200, {"access_token": "x", "expires_in": "inf"})
@example(200, {"access_token": "x", "expires_in": "nan"})
@example(200, {"access_token": "x", "expires_in": 10**300})
@settings(max_examples=60, deadline=None, derandomize=True)
def test_whatever_a_token_endpoint_answers_is_tokens_or_an_error_in_words(status: int, body: object) -> None:
    async def ask() -> oauth.TokenAnswer:
        handle = httpx.MockTransport(lambda request: httpx.Response(status, content=json.dumps(body).encode()))
        async with httpx.AsyncClient(transport=handle) as http:
            return await oauth.refresh(config_of("http://x"), "app", SecretStr(SECRET), SecretStr("old"), http)

    refused: ProviderError | None = None
    try:
        answer = asyncio.run(ask())
    except ProviderError as error:
        refused = error
    if refused is not None:
        assert SECRET not in repr(refused.__dict__)
        return
    token = answer.access_token.get_secret_value()
    assert token.isascii()
    assert token.isprintable()
    answer.model_dump_json().encode()
    assert "\\u0000" not in answer.model_dump_json()
    assert answer.expires_at is None or abs(answer.expires_at) < 10**15
