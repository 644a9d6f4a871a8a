"""Takes the pictures of the console in docs/console, which README.md and docs/console.md show.

python -m docs.screenshots    what `make screenshots` runs

They are taken of `make up` as it runs, signed in by the link that it prints, in the browser tests' Chromium. Only the
past is made up: a day of samples for the chart, which a new database does not have.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import psycopg
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.chromium import ARGUMENTS, provider

FOLDER = Path(__file__).parent / "console"
SIZE: ViewportSize = {"width": 1180, "height": 820}
DEADLINE_SECONDS = 90.0
LINK = re.compile(r"^\s+(https?://\S+/sign-in#\S+)$", re.MULTILINE)
OWNER = re.compile(r"as its owner:\s+psql '([^']+)'")

SETTLED = "select count(*) > 0 and bool_and(completed_at is not null) from public.sync_queue"
PAST = (
    """
    create temp table past on commit drop as
    select l.organization_id, l.integration_id, m.at,
      (m.height / row_number() over (partition by m.at order by l.integration_id))::bigint as synced,
      (m.busy * random() ^ 8 * 15)::bigint as waiting
    from crm_sync.lanes as l
    cross join (
      select s.at, s.busy, sum((20 + random() * 40) * s.busy) over (order by s.at) as height
      from (
        -- an office's day, in UTC: nothing at night, most of it around one
        select g.at, greatest(0, sin((extract(epoch from g.at)::bigint % 86400 / 3600.0 - 6) / 14 * pi())) as busy
        from generate_series(now() - interval '1 day', now() - interval '5 minutes', interval '5 minutes') as g (at)
      ) as s
    ) as m
    """,
    """
    update crm_sync.samples as s
    set synced = s.synced + (select max(p.synced) from past as p where p.integration_id = s.integration_id)
    """,
    """
    update crm_sync.lanes as l
    set synced = l.synced + (select max(p.synced) from past as p where p.integration_id = l.integration_id)
    """,
    """
    insert into crm_sync.samples (organization_id, integration_id, sampled_at, synced, waiting, failed)
    select p.organization_id, p.integration_id, p.at, p.synced, p.waiting, 0 from past as p
    """,
)
"""A transaction: samples of the last 24 hours, and the counters that they lead to."""
DELETING = re.compile("^Deleting in ")
T = TypeVar("T")


@dataclass(frozen=True)
class Shown:
    """A sandbox that runs: where its first person signs in, and its database."""

    link: str
    owner_url: str


def main() -> int:
    with sandbox() as shown, sync_playwright() as playwright:
        _wait_until_synced(shown)
        _paint_a_past(shown)
        browser = playwright.chromium.launch(executable_path=provider().get(), args=list(ARGUMENTS))
        for path in take(browser, shown):
            print(f"{path.relative_to(FOLDER.parent.parent)}: {path.stat().st_size // 1024} KB")  # noqa: T201
        browser.close()
    return 0


@contextmanager
def sandbox() -> Iterator[Shown]:
    """`make up` with some replies; raises TimeoutError when it does not come up."""
    command = [sys.executable, "-m", "sandbox.up", "--port", "0", "--replies", "60", "--every", "600"]
    with tempfile.TemporaryFile("w+") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603
        try:

            def told() -> Shown | None:
                output.seek(0)
                text = output.read()
                if running.poll() is not None:
                    raise RuntimeError(f"make up has ended:\n{text}")
                link, owner = LINK.search(text), OWNER.search(text)
                return Shown(link[1], owner[1]) if link and owner else None

            yield _eventually(told, "make up")
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(30)


def take(browser: Browser, shown: Shown) -> Iterator[Path]:
    """Write a picture of each page; the files."""
    FOLDER.mkdir(exist_ok=True)
    context = browser.new_context(viewport=SIZE, locale="en-GB", timezone_id="UTC", reduced_motion="reduce")
    page = context.new_page()
    expect.set_options(timeout=30_000)
    page.goto(shown.link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard")
    parts = urlsplit(page.url)
    home = f"{parts.scheme}://{parts.netloc}"
    for name in ("dashboard", "integrations", "contacts", "activity", "failures"):
        page.goto(f"{home}/{name}")
        yield _picture(page, name)
    page.goto(f"{home}/contacts")
    page.locator("tbody th a").first.click()
    yield _picture(page, "contact")
    page.get_by_role("link", name="Erase this person").click()
    yield _picture(page, "erase")
    page.get_by_label("Also delete in the CRM").check()
    page.get_by_label("Reason").fill("Request of 3 May")
    page.get_by_label("To confirm, type").fill("erase")
    page.get_by_role("button", name="Erase this person").click()
    page.get_by_role("link", name="See how far it is").click()
    expect(page.get_by_role("region", name=DELETING)).not_to_have_count(0)
    expect(page.get_by_role("region", name=DELETING).filter(has_not=page.locator(".badge.ok"))).to_have_count(0)
    yield _picture(page, "erased")
    page.goto(f"{home}/integrations/1")
    yield _picture(page, "settings")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 780})
    page.goto(f"{home}/dashboard")
    yield _picture(page, "phone")
    context.close()


def _picture(page: Page, name: str) -> Path:
    page.wait_for_load_state("load")
    path = FOLDER / f"{name}.png"
    path.write_bytes(page.screenshot(animations="disabled"))
    return path


def _wait_until_synced(shown: Shown) -> None:
    with psycopg.connect(shown.owner_url, autocommit=True) as connection:
        _eventually(lambda: connection.execute(SETTLED).fetchone() == (True,) or None, "syncing")


def _paint_a_past(shown: Shown) -> None:
    with psycopg.connect(shown.owner_url) as connection:
        for statement in PAST:
            connection.execute(statement)


def _eventually(fact: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (found := fact()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} took longer than {DEADLINE_SECONDS:g} s")
        time.sleep(0.1)
    return found


if __name__ == "__main__":
    sys.exit(main())
