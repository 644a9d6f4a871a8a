"""Where tokens and browsers may be sent: the same host, whoever reads the address."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import playwright
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from listener.webhook_settings import WebhookSettings
from providers.config import ProviderConfig
from providers.credentials import Credentials, account_url, host_of, login_at
from providers.endpoints import revoke_url_of, token_url_of
from providers.errors import Unauthorized

CONFIG = ProviderConfig(
    api_base_url="https://api.hubapi.com",
    api_version="1",
    auth_url="https://app.hubspot.com/oauth/authorize",
    token_url="https://api.hubapi.com/oauth/v1/token",
    revoke_url="https://api.hubapi.com/oauth/v1/revoke",
    api_hosts=("*.hubapi.com", "gateway.example:8443"),
    login_hosts=("*.hubapi.com",),
)
NODE = Path(playwright.__file__).parent / "driver" / "node"
READS = """
const lines = require('readline').createInterface({input: process.stdin});
lines.on('line', line => {
  let host = null;
  try { const url = new URL(JSON.parse(line)); host = [url.protocol, url.hostname, url.username + url.password]; }
  catch (error) {}
  console.log(JSON.stringify(host));
});
"""
Browser = Callable[[str], list[str] | None]
EVIL = (
    "https://evilhubapi.com",
    "https://hubapi.com",
    "https://hubapi.com.evil.example",
    "https://api.hubapi.com.evil.example",
    "https://api.hubapi.com@evil.example",
    "https://api.hubapi.com:443@evil.example",
    "https://evil.example\\.hubapi.com",
    "https://evil.example\\@api.hubapi.com",
    "https:\\\\evil.example\\.hubapi.com",
    "https://evil.example%2f.hubapi.com",
    "https://evil.example%5c.hubapi.com",
    "https://evil.example%00.hubapi.com",
    "https://evil.example%23.hubapi.com",
    "https://evil.example;.hubapi.com",
    "https://evil.example|.hubapi.com",
    "https://evil.example`.hubapi.com",
    "https://evil.example{}.hubapi.com",
    "https://evil.example\t.hubapi.com",
    "https://evil.example\n.hubapi.com",
    "https://evil.example .hubapi.com",
    "https://evil.example#.hubapi.com",
    "https://evil.example?.hubapi.com",
    "https://evil.example/.hubapi.com",
    "https://evil.example:443/.hubapi.com",
    "https://evil。example。.hubapi.com",
    "https://ｅｖｉｌ.hubapi.com",
    "https://evil.example／.hubapi.com",
    "https://evil.example\u2100.hubapi.com",
    "https://api.hubapi.com.",
    "https://api.hubapi.com..",
    "https://.hubapi.com",
    "https://..hubapi.com",
    "https://api.hubapi.com:8443",
    "https://api.hubapi.com:0",
    "https://api.hubapi.com:99999",
    "https://api.hubapi.com:x",
    "https://user@api.hubapi.com",
    "https://:word@api.hubapi.com",
    "https://@api.hubapi.com",
    "http://api.hubapi.com",
    "http://api.hubapi.com:443",
    "ftp://api.hubapi.com",
    "file://api.hubapi.com/etc/passwd",
    "javascript://api.hubapi.com/%0aalert(1)",
    "//api.hubapi.com",
    "https:api.hubapi.com",
    "https:/api.hubapi.com",
    "https:///api.hubapi.com",
    " https://api.hubapi.com",
    "https://api.hubapi.com ",
    "\x00https://api.hubapi.com",
    "https://gateway.example",
    "https://a.gateway.example:8443",
    *("http://127.0.0.1", "http://127.1", "http://2130706433", "http://0x7f000001", "http://0177.0.0.1", "http://0"),
    *("https://127.0.0.1", "http://localhost:5432", "http://[::1]", "http://[::ffff:127.0.0.1]", "http://[::]"),
    *("http://169.254.169.254/latest/meta-data", "https://169.254.169.254", "http://[fe80::1%25eth0]", "https://[::1"),
    *("", "https://", "https://[", "https://]", "x" * 100_000),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """How a browser's own parser reads an address (WHATWG): scheme, host, user; None where it does not."""
    with subprocess.Popen([NODE, "-e", READS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:

        def read(url: str) -> list[str] | None:
            assert node.stdin is not None
            assert node.stdout is not None
            node.stdin.write(json.dumps(url) + "\n")
            node.stdin.flush()
            found: list[str] | None = json.loads(node.stdout.readline())
            return found

        yield read
        assert node.stdin is not None
        node.stdin.close()


@pytest.mark.parametrize("url", EVIL, ids=lambda url: repr(url)[:60])
def test_no_token_and_no_browser_goes_to_a_place_that_only_looks_like_the_crms(url: str) -> None:
    credentials = Credentials.model_validate({"access_token": "t", "token_url": url or "x"})
    with pytest.raises(Unauthorized):
        host_of(url, CONFIG, "hubspot")
    with pytest.raises(Unauthorized):
        token_url_of(credentials, CONFIG, "hubspot")
    with pytest.raises(Unauthorized):
        revoke_url_of(credentials, CONFIG, "hubspot")
    assert account_url(url, CONFIG, "hubspot") is None


PIECES = (
    *("api", "hubapi.com", ".", "evil.example", "@", ":", "443", "\\", "/", "%2f", "%40", "#", "?", "[", "]", "::1"),
    *("127.0.0.1", "。", "ß", "\u200d", "\u00ad", "xn--", "_", "-", "A", " ", "\t", "\u0130", "/../", "*", "user"),
)
BEGINNINGS = ("https://", "http://", "HTTPS:\\\\", "https:/", "//", "")
ENDINGS = ("", ".hubapi.com", "api.hubapi.com", ".hubapi.com/x", "@api.hubapi.com")
AUTHORITY = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
ADDRESS = st.one_of(
    st.tuples(st.sampled_from(BEGINNINGS), AUTHORITY, st.sampled_from(ENDINGS)).map("".join),
    st.builds("https://{}.hubapi.com".format, st.text(max_size=6)),
    st.builds("https://api.hubapi.com{}".format, st.text(max_size=6)),
    st.text(max_size=40),
)


@given(url=ADDRESS)
@example("https://API.HubApi.com:443/a/?b#c")
@example("https://gateway.example:8443/x")
@example("https://a_b.x-y.hubapi.com/%2e%2e\\")
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_who_takes_an_address_and_who_opens_it_read_the_same_host_in_it(browser: Browser, url: str) -> None:
    for take in (host_of, account_url, _login):
        try:
            taken = take(url, CONFIG, "hubspot")
        except Unauthorized:
            continue
        if taken is None:
            continue
        for text in (taken, url) if take is not _login else (taken,):
            ours, python = httpx.URL(text), urlsplit(text)
            assert ours.host == python.hostname
            assert ours.host.endswith(".hubapi.com") or ours.netloc == b"gateway.example:8443" or ours.host == OWN
            assert not ours.userinfo
            assert not python.username
            opened = browser(text)
            assert opened is None or opened == ["https:", ours.host, ""]  # of a wrong xn-- a browser makes nothing


OWN = "app.hubspot.com"


def _login(url: str, config: ProviderConfig, provider: str) -> str | None:
    moved = login_at(config, url, provider)
    return None if moved is config else moved.auth_url


def test_the_parser_of_browsers_sees_what_others_do_not(browser: Browser) -> None:
    assert browser("https://evil.example\\.hubapi.com") == ["https:", "evil.example", ""]
    assert httpx.URL("https://evil.example\\.hubapi.com").host.endswith(".hubapi.com")


def test_an_operator_may_add_a_host_of_their_own_with_its_port() -> None:
    assert host_of("https://gateway.example:8443/hubspot/", CONFIG, "hubspot") == "https://gateway.example:8443/hubspot"
    own = CONFIG.model_copy(update={"api_base_url": "http://gateway:8080/hubspot"})
    assert host_of("http://gateway:8080/other", own, "hubspot") == "http://gateway:8080/other"
    with pytest.raises(Unauthorized):
        host_of("http://gateway:8081", own, "hubspot")


@given(host=AUTHORITY)
@example("127.0.0.1\\@evil.example")
@example("localhost\\.evil.example")
@settings(max_examples=200, deadline=None, derandomize=True)
def test_messages_of_alerts_leave_this_machine_by_https_only(browser: Browser, host: str) -> None:
    try:
        url = WebhookSettings(webhook_url=f"http://{host}/x", webhook_secret="whsec_" + "A" * 32).webhook_url
    except ValidationError:
        return
    assert url is not None
    assert httpx.URL(url).host in ("127.0.0.1", "localhost", "::1")
    opened = browser(url)
    assert opened is None or opened[1] in ("127.0.0.1", "localhost", "[::1]")
