"""What watches over the pages must notice: each fault here is one that a page of ours must not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.server import serve
from tests.browser.tools import Watch, assert_accessible, assert_fits, tab_to

STRICT = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:"
FRAME = "<!doctype html><html lang=en><title>Page</title><link rel=icon href='data:,'><main><h1>Page</h1>{}</main>"
UNSEEN = "<style>button { outline: none }</style><button>First</button><button>Second</button>"
FINE = "<label>Name <input></label><button>Save</button><div style='overflow: auto'><pre>ok</pre></div>"


@pytest.fixture
def show(page: Page) -> Iterator[Callable[[str], Page]]:
    """Shows a page with a strict policy."""
    shown: list[str] = []

    async def answer(_request: Request) -> Response:
        return HTMLResponse(FRAME.format(shown[-1]), headers={"content-security-policy": STRICT})

    with serve(Starlette(routes=[Route("/", answer)])) as server:

        def show(body: str) -> Page:
            shown.append(body)
            page.goto(server.url)
            return page

        yield show


@pytest.fixture
def page(browser: Browser, watch: Watch) -> Page:
    """One whose faults the test looks for itself."""
    watch.forgive("")
    return watch.context.new_page()


def test_a_page_without_faults_passes(show: Callable[[str], Page], watch: Watch) -> None:
    page = show(FINE)
    assert_accessible(page)
    assert_fits(page)
    tab_to(page, page.get_by_role("button", name="Save"))
    assert watch.problems == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<script>alert(1)</script>", "Content Security Policy"),
        ("<button onclick='alert(1)'>Go</button>", "Content Security Policy"),
        ("<img src=https://example.com/a.png alt=''>", "https://example.com"),
    ],
)
def test_what_goes_wrong_in_the_browser_is_noticed(
    show: Callable[[str], Page], watch: Watch, body: str, words: str
) -> None:
    show(body)
    assert any(words in problem for problem in watch.problems), watch.problems


def test_an_error_in_a_script_is_noticed(show: Callable[[str], Page], watch: Watch) -> None:
    page = show(FINE)
    with watch.context.expect_event("weberror"):
        page.evaluate("() => setTimeout(() => { throw new Error('broken') })")
    assert any("broken" in problem for problem in watch.problems), watch.problems


def test_a_request_to_another_host_is_stopped_and_noticed(show: Callable[[str], Page], watch: Watch) -> None:
    page = show(FINE)
    page.goto("about:blank")
    page.evaluate("() => fetch('https://example.com/').catch(() => null)")
    assert watch.problems[0] == "a request to another host: https://example.com/"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("<input>", "label"),
        ("<button></button>", "button-name"),
        ("<p style='color: #aaa; background: #fff'>faint</p>", "color-contrast"),
        ("<img src='data:,'>", "image-alt"),
    ],
)
def test_what_shuts_people_out_is_noticed(show: Callable[[str], Page], body: str, rule: str) -> None:
    page = show(body)
    with pytest.raises(AssertionError, match=rule):
        assert_accessible(page)


def test_what_only_the_dark_scheme_shuts_out_is_noticed(show: Callable[[str], Page]) -> None:
    page = show(
        "<style>@media (prefers-color-scheme: dark) { p { color: #222; background: #111 } }</style><p>unseen</p>"
    )
    with pytest.raises(AssertionError, match=r"\[dark\] serious: color-contrast"):
        assert_accessible(page)


def test_what_makes_a_phone_scroll_sideways_is_noticed(show: Callable[[str], Page]) -> None:
    page = show("<div style='width: 600px; height: 9px'>wide</div>")
    with pytest.raises(AssertionError, match="600px"):
        assert_fits(page)


def test_focus_that_nobody_sees_is_noticed(show: Callable[[str], Page]) -> None:
    page = show(UNSEEN)
    with pytest.raises(AssertionError, match="nobody sees that 'First'"):
        tab_to(page, page.get_by_role("button", name="Second"))


def test_what_tab_does_not_reach_is_noticed(show: Callable[[str], Page]) -> None:
    page = show("<button>First</button><button tabindex=-1>Second</button>")
    with pytest.raises(AssertionError, match="not reached with Tab, only: First"):
        tab_to(page, page.get_by_role("button", name="Second"))
