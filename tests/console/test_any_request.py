"""Whatever is asked of the console, by whomever: an answer in words, the headers that forbid, and nothing of ours."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import BaseRoute, Mount, Route

from tests.console.conftest import Member
from tests.console.visitor import Browser, Stage, token_for
from tests.fuzz import looking

INSIDES = re.compile(
    r"Traceback|File \"|\.py\b|asyncpg|psycopg|PostgresError|SQLSTATE|pydantic|starlette|jinja|\bselect \w|postgresql://"
)
HEADERS = st.dictionaries(
    st.sampled_from(
        (
            *("x-csrf-token", "authorization", "cookie", "origin", "referer", "sec-fetch-site", "host", "range"),
            *("x-forwarded-for", "x-forwarded-proto", "forwarded", "hx-current-url", "hx-target", "last-event-id"),
            *("accept-encoding", "accept-language", "if-none-match", "if-modified-since", "content-length", "expect"),
        )
    ),
    st.sampled_from(
        (
            *(
                "",
                "x",
                "é",
                "a\x00b",
                "\xff\xfe",
                "Bearer x.y.z",
                "Bearer",
                "Basic eDp5",
                "null",
                "https://evil.example",
                "-1",
            ),
            *("crm_sync_token=x; crm_sync_token=y", "=; ;=", "bytes=0-0,1-1", "bytes=" + "9" * 40 + "-", "1" * 5_000),
            *("127.0.0.1, 10.0.0.1", 'for="_x";proto=https', "javascript:alert(1)", "Thu, 01 Jan 1970 00:00:00 GMT"),
        )
    ),
    max_size=3,
)
"""By whoever speaks HTTP by hand."""
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "GËT".encode().decode("latin1"),
)
ODD = (
    "",
    "0",
    "1",
    "-1",
    "99999999999999999999",
    "null",
    "hubspot",
    "salesforce",
    "\x00",
    "%00",
    "..",
    "a'b\"<b>",
    "0" * 8 + 3 * "-0000" + "-" + "0" * 12,
)
WORD = st.one_of(st.sampled_from(ODD), st.text(max_size=12), st.just("é" * 1_000))
KNOWN = (
    *("provider", "name", "login_host", "state", "code", "error", "error_description", "next", "q", "range", "before"),
    *("integration", "kind", "contact", "csrf_token", "sync_settings", "field_mappings", "sync_filters", "version"),
    *("confirm", "in_crm", "reason", "words", "page", "as"),
    *("token", "contact.0.from", "contact.0.values", "all.0.field", "all.0.value"),
)
NAMES = st.one_of(st.sampled_from(KNOWN), st.text(max_size=6))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), WORD),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "application/json; charset=nobody-knows",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-7",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "multipart/form-data; boundary=" + "x" * 300,
    "text/xml",
    "é/ü",
    "",
)
BODY = st.one_of(
    st.lists(st.tuples(NAMES, WORD), max_size=5).map(lambda pairs: str(httpx.QueryParams(tuple(pairs))).encode()),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        (
            b"",
            b"[" * 50_000,
            b'{"a":' * 50_000,
            b"1" * 6_000,
            b"\xff\xfe",
            b"--x\r\n",
            b'{"provider": "\\ud800"}',
            b"=" * 9,
            b'{"provider": "hubspot", "provider": ["x"], "name": {}}',
            b'{"name": "\x00", "version": 1e400, "x": -0, "y": 1' + b"0" * 400 + b"}",
            b'{"name": "\\u0000\\ud83d", "sync_settings": {"a": {"a": {"a": [[[[null]]]]}}}}',
            b"sync_settings=%7B%22a%22%3A" + b"%5B" * 2_000 + b"&version=" + b"9" * 400,
            b"sync_filters=%ed%a0%80&sync_filters=%00&field_mappings=%7B%22%5Cud800%22%3A1%7D",
            b"&".join(b"a%d=1" % number for number in range(3_000)),
            '{"name": "x"}'.encode("utf-16"),
            b'--x\r\ncontent-disposition: form-data; name="name"; filename="x"\r\n\r\ny\r\n--x--\r\n',
            b'--x\r\ncontent-disposition: form-data; name="\xff\x00"\r\n\r\n\xff\r\n--x--\r\n',
            b"--x\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
        )
    ),
    st.binary(max_size=40),
)


def paths(routes: Iterable[BaseRoute], below: str = "") -> Iterator[str]:
    for route in routes:
        if isinstance(route, Route):
            yield below + route.path
        elif isinstance(route, Mount) and route.routes:
            yield from paths(route.routes, below + route.path)
        elif isinstance(route, Mount):
            yield below + route.path + "/{path}"


@given(data=st.data())
@looking(80)
async def test_no_request_makes_a_fault_or_shows_our_insides(console: Stage, ada: Member, data: st.DataObject) -> None:
    known = sorted(paths(console.app.routes))
    assert len(known) > 30
    template = data.draw(st.sampled_from(known))
    method = data.draw(st.sampled_from(METHODS))
    if template == "/events" and method == "GET":
        method = "POST"  # a stream does not end
    path = re.sub(r"\{[^}]*\}", lambda _: _escaped(data.draw(WORD)), template)
    token = data.draw(st.sampled_from((token_for(ada.user), token_for(ada.user), "x.y.z", None)))
    browser = Browser(console, token)
    headers = {"content-type": data.draw(st.sampled_from(TYPES)).encode().decode("latin1"), "accept": "text/html"}
    if data.draw(st.booleans()):
        headers["x-csrf-token"] = await browser.csrf()
    if data.draw(st.booleans()):
        headers["hx-request"] = "true"
    headers |= data.draw(HEADERS)
    query = httpx.QueryParams(tuple(data.draw(st.lists(st.tuples(NAMES, WORD), max_size=3))))
    body = data.draw(BODY)
    request = browser.http.build_request(
        method,
        console.settings.public_url + path,
        params=query,
        content=_in_pieces(body) if data.draw(st.booleans()) else body,
        headers=_sent(headers),
    )
    answer = await browser.http.send(request)
    check(answer)


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, (answer.request.method, answer.request.url, answer.text[:500])
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    if "/static/" not in str(answer.request.url) and "/metrics" not in str(answer.request.url):
        assert INSIDES.search(answer.text) is None, answer.text[:2_000]
    assert not any("\r" in value or "\n" in value for value in answer.headers.values()), answer.headers
    location = answer.headers.get("location")
    assert location is None or location.startswith(("/", "http://127.0.0.1")), location
    assert location is None or not location.startswith(("//", "/\\")), location


CODES = st.one_of(WORD, st.just("x" * 9_000))


@given(
    provider=st.sampled_from(("hubspot", "salesforce", "pipedrive", "nobody", "..", "%00")),
    pairs=st.lists(st.tuples(st.sampled_from(("state", "code", "error", "error_description", "x")), CODES), max_size=6),
    raw=st.sampled_from(("", "%ff%fe", "%", "%zz=1", "state=%00", "state[]=1", "code=1;state=2", "state=%ed%a0%80")),
)
@looking(80)
async def test_no_answer_that_only_looks_like_a_crms_connects_anything(
    console: Stage, ada: Member, provider: str, pairs: list[tuple[str, str]], raw: str
) -> None:
    browser = Browser(console, token_for(ada.user))
    query = f"{httpx.QueryParams(tuple(pairs))}&{raw}"
    answer = await browser.http.get(f"{console.settings.public_url}/api/integrations/{provider}/callback?{query}")
    check(answer)
    assert "connected=" not in answer.headers.get("location", "")
    assert console.house.value("select count(*) from public.user_integrations") == 0


def _escaped(word: str) -> str:
    return "".join(f"%{byte:02x}" for byte in word.encode(errors="replace"))


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    """As a client sends it that does not say how long it will be."""
    for at in range(0, len(body), max(1, len(body) // 5)):
        yield body[at : at + max(1, len(body) // 5)]
        yield b""


def _sent(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: value.encode("latin1", "replace") for name, value in headers.items()}
