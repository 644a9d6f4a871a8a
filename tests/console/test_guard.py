"""Who is asking, and what stands before every page."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr, ValidationError
from starlette.routing import BaseRoute, Mount, Route

from console.keys import PublishedKeys
from console.settings import ConsoleSettings
from tests.console.conftest import Member, member_of
from tests.console.visitor import SECRET, Browser, Stage, stage, token_for
from tests.house import House
from tests.listener.daemons import settings_for

HTTPS = "https://crm.example.com"


def unsigned(user: object, **header: Any) -> str:
    parts = [{"typ": "JWT", **header}, {"sub": str(user), "aud": "authenticated", "exp": int(time.time()) + 600}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def routes_of(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of everything that can be asked for, with an id of 1 where one is wanted."""
    for each in routes:
        if isinstance(each, Mount):
            yield from routes_of(each.routes or [], prefix + each.path)
        elif isinstance(each, Route):
            path = prefix + each.path.replace("{id:int}", "1").replace("{provider}", "hubspot")
            for name in ("{id:uuid}", "{id}", "{contact_id}", "{contact:uuid}"):
                path = path.replace(name, str(uuid4()))
            for method in sorted((each.methods or set()) - {"HEAD"}):
                yield method, path


# ---- tokens ----


async def test_a_token_of_the_host_application_signs_in(ada: Member, console: Stage) -> None:
    assert (await ada.browser.get("/integrations")).status_code == 200
    by_header = await console.browser().get("/integrations", headers=console.bearer(ada.user))
    assert by_header.status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "anon"},
        {"aud": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"sub": "not-a-uuid"},
        {"sub": ""},
        {"name": "nul \0 byte"},
        {"secret": "another-secret-that-is-also-long-enough-to-be-one"},
        {"algorithm": "HS512"},
    ],
    ids=str,
)
async def test_a_token_that_does_not_count_signs_nobody_in(console: Stage, ada: Member, claims: dict[str, Any]) -> None:
    token = token_for(claims.pop("sub", ada.user), **claims)
    browser = Browser(console, token)
    assert (await browser.get("/integrations")).status_code == 303
    answer = await browser.http.post("/api/integrations/hubspot/test", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]) == (401, "not_signed_in")
    assert token not in answer.text


async def test_an_unsigned_token_signs_nobody_in(console: Stage, ada: Member) -> None:
    for header in ({"alg": "none"}, {"alg": "None"}, {"alg": "HS256"}, {}, {"alg": "none", "kid": "../../etc/passwd"}):
        assert (await Browser(console, unsigned(ada.user, **header)).get("/integrations")).status_code == 303
    for text in ("", "x", "a.b.c", "a" * 20_000, "é", "..", "eyJhbGciOiJIUzI1NiJ9..x"):
        answer = await console.browser().get("/api/none", headers={"authorization": f"Bearer {text}".encode()})
        assert answer.status_code == 404
        answer = await console.browser().get("/integrations", headers={"authorization": f"Bearer {text}".encode()})
        assert answer.status_code == 303, text


async def test_a_token_from_elsewhere_is_refused_where_an_issuer_is_set(house: House, database: str) -> None:
    async with stage(house, database, jwt_issuer="https://auth.example.com") as console:
        ada = member_of(console)
        assert (await ada.browser.get("/integrations")).status_code == 303
        assert (await console.browser(ada.user, iss="https://evil.example").get("/integrations")).status_code == 303
        own = console.browser(ada.user, iss="https://auth.example.com")
        assert (await own.get("/integrations")).status_code == 200


async def test_a_bad_token_in_the_header_is_not_saved_by_a_good_cookie(ada: Member) -> None:
    answer = await ada.browser.get("/integrations", headers={"authorization": "Bearer x.y.z"})
    assert answer.status_code == 303


class Publisher:
    """The host application's JWKS."""

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.asked = 0
        self.is_down = False
        self.answer: bytes | None = None
        self.location: str | None = None

    def add(self, kid: str) -> rsa.RSAPrivateKey:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self.keys[kid]

    def document(self) -> bytes:
        keys = [
            {
                **json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())),
                "kid": kid,
                "use": "sig",
                "alg": "RS256",
            }
            for kid, key in self.keys.items()
        ]
        return json.dumps({"keys": keys}).encode()


@contextmanager
def publishing(publisher: Publisher) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.asked += 1
            if publisher.answer == b"":
                return  # as a connection that breaks
            self.send_response(302 if publisher.location else 500 if publisher.is_down else 200)
            if publisher.location:
                self.send_header("location", publisher.location)
            self.end_headers()
            self.wfile.write(publisher.answer or publisher.document())

        def log_message(self, *_args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_published_keys_count_and_rotate(house: House, database: str) -> None:
    publisher = Publisher()
    with publishing(publisher) as url:
        async with stage(house, database, jwt_secret=None, jwks_url=url) as console:
            first, ada = publisher.add("one"), member_of(console)

            def signed(key: Any, kid: str, algorithm: str = "RS256") -> Browser:
                return Browser(console, token_for(ada.user, key, algorithm, headers={"kid": kid}))

            assert (await signed(first, "one").get("/integrations")).status_code == 200
            second = publisher.add("two")
            keys = console.console.verifier._keys
            assert keys is not None
            keys._tried_at -= 60  # not asked again for ten seconds
            assert (await signed(second, "two").get("/integrations")).status_code == 200
            assert (await signed(second, "one").get("/integrations")).status_code == 303
            # the public key, which everybody knows, as an HMAC secret
            public = first.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=")
            body = unsigned(ada.user).split(".")[1].encode()
            signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
                header + b"." + body, public
            )
            forged = b".".join((header, body, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()
            assert (await Browser(console, forged).get("/integrations")).status_code == 303


async def test_tokens_that_name_unknown_keys_do_not_make_us_fetch_each_time() -> None:
    publisher, now = Publisher(), [1000.0]
    key = publisher.add("one")
    with publishing(publisher) as url:
        keys = PublishedKeys(url, clock=lambda: now[0])
        for number in range(50):
            token = token_for(uuid4(), key, "RS256", headers={"kid": f"forged-{number}"})
            with pytest.raises(jwt.PyJWTError):
                await keys.key_of(token)
        assert publisher.asked == 1
        known = token_for(uuid4(), key, "RS256", headers={"kid": "one"})
        now[0] += 1000
        publisher.is_down = True
        assert (await keys.key_of(known)).key_id == "one"
        assert publisher.asked == 2


@pytest.mark.parametrize("answer", [b"", b"<h1>Maintenance</h1>", b"[]", b'{"keys": 7}', b'{"keys": [1]}', b"\xff\xfe"])
async def test_keys_that_were_known_outlive_an_answer_that_holds_none(answer: bytes) -> None:
    publisher, now = Publisher(), [1000.0]
    key = publisher.add("one")
    token = token_for(uuid4(), key, "RS256", headers={"kid": "one"})
    with publishing(publisher) as url:
        keys = PublishedKeys(url, clock=lambda: now[0])
        publisher.answer = answer
        with pytest.raises(jwt.PyJWKClientConnectionError):
            await keys.key_of(token)
        publisher.answer = None
        now[0] += 1000
        assert (await keys.key_of(token)).key_id == "one"
        publisher.answer = answer
        now[0] += 1000
        assert (await keys.key_of(token)).key_id == "one"
        assert publisher.asked == 3


async def test_keys_come_from_the_address_that_was_given_and_are_no_longer_than_keys_are() -> None:
    real, publisher = Publisher(), Publisher()
    token = token_for(uuid4(), real.add("one"), "RS256", headers={"kid": "one"})
    with publishing(real) as elsewhere, publishing(publisher) as url:
        publisher.location = elsewhere
        with pytest.raises(jwt.PyJWKClientConnectionError):
            await PublishedKeys(url).key_of(token)
        assert (publisher.asked, real.asked) == (1, 0)
        publisher.location = None
        publisher.answer = b" " * 2_000_000 + real.document()
        with pytest.raises(jwt.PyJWKClientConnectionError):
            await PublishedKeys(url).key_of(token)
        publisher.answer = real.document()
        assert (await PublishedKeys(url).key_of(token)).key_id == "one"


def test_settings_that_would_be_unsafe_are_refused(database: str) -> None:
    common = settings_for(database)
    for wrong in (
        {"public_url": "http://crm.example.com"},
        {"public_url": "https://crm.example.com?x=1"},
        {"public_url": "javascript:alert(1)"},
        {"jwks_url": "http://auth.example.com/keys", "jwt_secret": None},
        {"return_url": "http://app.example.com"},
        {"sign_in_url": "javascript://localhost/%0aalert(1)"},
        {"jwks_url": "file://localhost/etc/passwd", "jwt_secret": None},
        {"jwt_secret": SecretStr("short")},
        {"jwt_secret": None},
        {"jwks_url": "https://auth.example.com/keys"},
        {"jwt_cookie": "a b"},
        {"listen": "8080"},
    ):
        with pytest.raises(ValidationError):
            ConsoleSettings(**{"common": common, "jwt_secret": SecretStr(SECRET), **wrong})


# ---- every route ----


async def test_nobody_sees_a_page_without_signing_in(console: Stage) -> None:
    browser = console.browser()
    open_to_all = {"/healthz", "/readyz", "/sign-in", "/metrics"}
    for method, path in routes_of(console.app.routes):
        if method != "GET" or path in open_to_all or path.endswith("/callback"):
            continue
        answer = await browser.get(path)
        assert answer.status_code in (303, 401), (path, answer.status_code)
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/sign-in?next="), path


async def test_no_change_is_made_that_our_own_pages_did_not_send(console: Stage, ada: Member) -> None:
    other = console.browser(ada.user)
    foreign = await other.csrf()
    token = await ada.browser.csrf()
    tried = 0
    for method, path in routes_of(console.app.routes):
        if method == "GET":
            continue
        tried += 1
        attempts: list[dict[str, Any]] = [
            {},
            {"data": {"csrf_token": "0" * 64}},
            {"data": {"csrf_token": foreign}},
            {"headers": {"x-csrf-token": foreign}},
            {"headers": {"x-csrf-token": ""}, "data": {"csrf_token": token}},
            {"headers": {"x-csrf-token": "\u00e9".encode()}},
            {"json": {"csrf_token": token}},
            {"params": {"csrf_token": token}},
            {"data": {"csrf_token": token}, "headers": {"origin": "https://evil.example"}},
            {"data": {"csrf_token": token}, "headers": {"origin": "null"}},
            {"data": {"csrf_token": token}, "headers": {"sec-fetch-site": "cross-site"}},
            {"data": {"csrf_token": token}, "headers": {"sec-fetch-site": "same-site"}},
            {"headers": {"authorization": "Basic YTpi"}},
            {"headers": {"authorization": "Bearer"}},
            {"headers": {"authorization": "Bearer  "}},
        ]
        for attempt in attempts:
            # a new address each time: too many is another refusal
            visitor = Browser(console)
            visitor.http.cookies = ada.browser.http.cookies
            answer = await visitor.http.request(method, path, **attempt)
            assert answer.status_code == 403, (method, path, attempt, answer.status_code)
    assert tried > 15


async def test_every_answer_carries_the_headers_that_forbid(console: Stage, ada: Member) -> None:
    paths = [path for method, path in routes_of(console.app.routes) if method == "GET"]
    for path in [
        *paths,
        "/nothing",
        "/static/nothing",
        "/static/style.css",
        "/api/nothing",
        "/integrations/99999999999999999999",
    ]:
        if path == "/events":
            continue
        for browser in (console.browser(), console.browser(ada.user)):
            answer = await browser.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy, path
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["cache-control"] in ("no-store", "no-cache")


async def test_a_fault_of_ours_tells_nobody_anything_and_keeps_the_headers(
    console: Stage, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fault(*_args: object) -> None:
        raise RuntimeError("CANARY of a person")

    monkeypatch.setattr("console.queries_integrations.cards", fault)
    answer = await ada.browser.get("/integrations")
    assert answer.status_code == 500
    assert "CANARY" not in answer.text
    assert "content-security-policy" in answer.headers


async def test_what_members_ask_is_kept_out_of_the_servers_log(console: Stage, ada: Member) -> None:
    """Their claims hold an address, their searches names."""
    identity = await console.console.verifier.verify(token_for(ada.user))
    async with console.console.members.asked_by(identity) as session:
        found = await session.row(
            "select current_user::text as who, current_setting('log_parameter_max_length') as most"
        )
    assert found == {"who": "authenticated", "most": "0"}


async def test_a_host_header_of_somebody_else_changes_nothing(console: Stage, ada: Member) -> None:
    for host in ("evil.example", "evil.example:80@127.0.0.1", "x/api/integrations/", "evil.example/../", "a b", ""):
        for path in ("/", "/integrations", "/integrations/", "/integrations/1", "/nothing", "/sign-in", "/sign-in/"):
            answer = await ada.browser.get(path, headers={"host": host})
            assert "evil.example" not in answer.text + str(answer.headers), (host, path)
    # no path of the Host header counts against the limits, or gets around them
    browser = Browser(console, token_for(ada.user))
    token = await browser.csrf()
    statuses = [
        (
            await browser.http.post(
                "/api/integrations/hubspot/test", headers={"host": f"x{n}/y", "x-csrf-token": token}
            )
        ).status_code
        for n in range(60)
    ]
    assert 429 in statuses


async def test_signing_in_leads_to_no_other_site(console: Stage, ada: Member) -> None:
    for there in (
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/%0d%0aset-cookie:x=1",
        "/a\r\nlocation: https://evil.example", "javascript:alert(1)", "/\t/evil.example", "evil.example",
        "///evil.example",
    ):  # fmt: skip
        answer = await console.browser().post("/sign-in", {"token": token_for(ada.user), "next": there})
        where = answer.headers["location"]
        assert answer.status_code == 303
        assert where.startswith("/"), there
        assert not where.startswith(("//", "/\\")), there
        assert where.isprintable()
        assert httpx.URL("http://127.0.0.1:8080").join(where).host == "127.0.0.1"
    own = await console.browser().post("/sign-in", {"token": token_for(ada.user), "next": "/integrations?x=1"})
    assert own.headers["location"] == "/integrations?x=1"


async def test_a_token_that_does_not_count_is_not_made_a_cookie(console: Stage, ada: Member) -> None:
    answer = await console.browser().post("/sign-in", {"token": token_for(ada.user, exp=1)})
    assert answer.status_code == 401
    assert console.settings.jwt_cookie not in answer.headers.get("set-cookie", "")
    assert "expired" in answer.text


async def test_cookies_are_for_this_site_and_no_script(house: House, database: str) -> None:
    async with stage(house, database, public_url=HTTPS) as console:
        browser = console.browser()
        answer = await browser.get("/sign-in")
        (cookie,) = answer.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-crm_sync_session=")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        assert answer.headers["strict-transport-security"]
        ada = member_of(console)
        entered = await browser.post("/sign-in", {"token": token_for(ada.user)}, headers={"origin": HTTPS})
        (cookie,) = entered.headers.get_list("set-cookie")
        lowered = cookie.lower().split("; ")
        assert {"secure", "httponly", "samesite=lax"} <= set(lowered)
        left = await browser.post("/sign-out", headers={"origin": HTTPS})
        assert len(left.headers.get_list("set-cookie")) == 2


async def test_below_a_path_everything_lies_below_it(house: House, database: str) -> None:
    async with stage(house, database, public_url=f"{HTTPS}/crm") as console:
        ada = member_of(console)
        page = await ada.browser.get("/integrations")
        assert page.status_code == 200
        assert 'href="/crm/static/style.css' in page.text
        assert (await ada.browser.http.get("/integrations")).status_code == 404
        signed_out = await console.browser().get("/integrations")
        assert signed_out.headers["location"] == "/crm/sign-in?next=%2Fintegrations"
        assert (await console.browser().get("/static/style.css")).status_code == 200
        behind_a_proxy = await console.browser().http.get("/crm", headers={"host": "127.0.0.1:8080"})
        assert behind_a_proxy.headers["location"] == f"{HTTPS}/crm/"
        assert console.settings.redirect_uri("hubspot") == f"{HTTPS}/crm/api/integrations/hubspot/callback"


async def test_who_asks_too_often_is_told_when_to_come_back(console: Stage, ada: Member) -> None:
    answers = [await console.browser().get("/api/integrations/hubspot/callback") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {303}
    browser = console.browser()
    limited = [await browser.get("/api/integrations/hubspot/callback") for _ in range(40)][-1]
    assert limited.status_code == 429
    assert int(limited.headers["retry-after"]) >= 1
    assert (await browser.get("/healthz")).status_code == 200
    # one user from many addresses
    codes = []
    for _ in range(30):
        visitor = Browser(console, token_for(ada.user))
        codes.append((await visitor.ask("/api/integrations/hubspot/connect")).status_code)
    assert codes.count(200) <= 21
    assert codes[-1] == 429


async def test_the_networks_of_one_customer_count_as_one(console: Stage) -> None:
    codes = []
    for number in range(40):
        visitor = Browser(console, address=f"2001:db8:1:2::{number:x}")
        codes.append((await visitor.get("/api/integrations/hubspot/callback")).status_code)
    assert codes[-1] == 429


async def test_too_much_is_refused_before_it_is_read(console: Stage, ada: Member) -> None:
    token = await ada.browser.csrf()
    answer = await ada.browser.http.post(
        "/integrations/1/mappings", content=b"a=" + b"x" * 600_000, headers={"x-csrf-token": token}
    )
    assert answer.status_code == 413
    many = await ada.browser.post("/integrations/connect", {f"f{n}": "1" for n in range(9000)})
    assert many.status_code == 422


async def test_figures_are_for_this_machine_or_who_has_the_token(
    house: House, database: str, console: Stage, ada: Member
) -> None:
    await ada.browser.get("/integrations")
    await Browser(console, token_for(ada.user, exp=1)).get("/integrations")
    host = {"host": "127.0.0.1:8080"}
    here = Browser(console, address="127.0.0.1")
    figures = (await here.get("/metrics", headers=host)).text
    assert 'crm_sync_console_requests_total{method="GET",route="/integrations",status="200"} 1.0' in figures
    assert 'crm_sync_console_refused_sign_ins_total{reason="expired"} 1.0' in figures
    for secret in (str(ada.user), str(ada.organization), "ada@example.com", "Acme"):
        assert secret not in figures
    assert (await console.browser().get("/metrics", headers=host)).status_code == 404
    assert (await here.get("/metrics", headers={**host, "x-forwarded-for": "1.2.3.4"})).status_code == 404
    assert (await here.get("/metrics", headers={"host": "evil.example"})).status_code == 404
    async with stage(house, database, metrics_token=SecretStr("a-token")) as guarded:
        browser = Browser(guarded, address="127.0.0.1")
        assert (await browser.get("/metrics")).status_code == 404
        for token, status in (("a-token", 200), ("another", 404), ("é", 404)):
            header = {"authorization": f"Bearer {token}".encode()}
            assert (await guarded.browser().get("/metrics", headers=header)).status_code == status
