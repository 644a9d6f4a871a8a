"""What a test asks of any page: that nothing went wrong on it, that everybody can use it, that it fits on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Route, ViewportSize

SERIOUS = ("serious", "critical")
PHONE = 375
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
MOST_TABS = 60
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

_FOCUSED = """() => {
  const it = document.activeElement;
  if (!it || it === document.body) return null;
  const style = getComputedStyle(it);
  return {
    text: (it.getAttribute("aria-label") || it.innerText || it.name || it.tagName).trim().slice(0, 60),
    visible: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none",
  };
}"""
_TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.getBoundingClientRect().right > width + 1)
    .map((each) => each.outerHTML.slice(0, 120)).slice(-5);
}"""


class Watch:
    """Notes whatever goes wrong in a browser context; what a test expects to go wrong, it forgives.

    Nothing but this machine is reached: a request to anywhere else is stopped, and noted.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.problems: list[str] = []
        self._forgiven: list[str] = []
        self._is_open = True
        context.route(_is_elsewhere, self._stop)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.problems.append(f"error in a script: {error.error}"))
        context.on("requestfailed", self._on_failure)

    def forgive(self, words: str) -> None:
        """Expect problems with these words in them."""
        self._forgiven.append(words)

    def close(self) -> None:
        """Close its pages, before what they look at is gone: what is on its way just then is no failure."""
        if self._is_open:
            self._is_open = False
            self.context.close()

    def check(self) -> None:
        """Fails, listing what went wrong."""
        left = [each for each in self.problems if not any(words in each for words in self._forgiven)]
        assert not left, "in the browser:\n  " + "\n  ".join(left)

    def _stop(self, route: Route) -> None:
        self.problems.append(f"a request to another host: {route.request.url}")
        route.abort()

    def _on_console(self, message: ConsoleMessage) -> None:
        # violations of the Content-Security-Policy are errors here as well
        if message.type in ("error", "warning"):
            place = message.location.get("url", "")
            self.problems.append(f"console {message.type}: {message.text} ({place})")

    def _on_failure(self, request: Request) -> None:
        # what a page leaves behind when it is left, such as a stream of events, is no failure
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"a request failed: {request.method} {request.url}: {request.failure}")


def _is_elsewhere(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in ("127.0.0.1", "localhost", "::1")


def assert_accessible(page: Page, *, exclude: str | None = None) -> None:
    """axe finds nothing serious or critical, by light and by dark; `exclude` is a selector of what is not ours."""
    found: list[str] = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [f"[{scheme}] {each}" for each in _violations(page, exclude)]
    page.emulate_media(color_scheme="light")
    assert not found, f"{page.url} is not accessible:\n" + "\n".join(found)


def _violations(page: Page, exclude: str | None) -> list[str]:
    # Evaluated, not added as a script element: the page's Content-Security-Policy rightly forbids that.
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate(
        "([exclude]) => axe.run(exclude ? {exclude: [exclude]} : document, {resultTypes: ['violations']})", [exclude]
    )
    return [_told(each) for each in found["violations"] if each["impact"] in SERIOUS]


def _told(violation: dict[str, Any]) -> str:
    lines = [f"{violation['impact']}: {violation['id']}: {violation['help']} ({violation['helpUrl']})"]
    for node in violation["nodes"][:5]:
        reason = " ".join((node.get("failureSummary") or "").split())
        lines.append(f"    {node['target']}: {node['html'][:200]}\n      {reason}")
    return "\n".join(lines)


def assert_fits(page: Page, width: int = PHONE) -> None:
    """At this width nothing makes the page scroll sideways; the window keeps its size afterwards."""
    with sized(page, width):
        wide = cast("list[str]", page.evaluate(_TOO_WIDE))
        assert not wide, f"{page.url} scrolls sideways at {width} px because of:\n  " + "\n  ".join(wide)


@contextmanager
def sized(page: Page, width: int, height: int = 740) -> Iterator[None]:
    """A window of another size."""
    before = page.viewport_size
    page.set_viewport_size({"width": width, "height": height})
    try:
        yield
    finally:
        if before is not None:
            page.set_viewport_size(before)


def tab_to(page: Page, target: Locator) -> None:
    """Reach it with the Tab key alone; fails when that does not happen, or when focus cannot be seen on the way."""
    seen: list[str] = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused is None:
            continue
        seen.append(focused["text"])
        assert focused["visible"], f"nobody sees that {focused['text']!r} has the focus"
        if target.evaluate("(it) => it === document.activeElement"):
            return
    raise AssertionError(f"{target} is not reached with Tab, only: {', '.join(dict.fromkeys(seen))}")


def wait_until_settled(page: Page) -> None:
    """Until nothing on the page is being asked for or replaced by htmx."""
    page.wait_for_function(
        "() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling, .htmx-added')"
    )
