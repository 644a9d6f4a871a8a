"""A browser for the tests of this folder, a page for each of them, and the sandbox that it looks at.

Playwright's blocking interface keeps an event loop running in the thread that uses it, and asyncio starts no second one
there: so it lives as long as the tests of this folder, which are plain functions, and is gone before others run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox.app import create_app
from sandbox.crms import NAMES, emulate, locate
from sandbox.server import serve
from tests.browser.chromium import ARGUMENTS, NoChromiumError, lament, provider
from tests.browser.scene import ConsoleProcess, Sandbox, Scene, console_of
from tests.browser.tools import DESKTOP, Watch
from tests.house import House
from tests.listener.daemons import Process, process

WAIT_MILLISECONDS = 30_000


@pytest.fixture(scope="session")
def chromium() -> str:
    """Its binary; without one, the tests are skipped, and everybody hears of it."""
    try:
        return provider().get()
    except NoChromiumError as error:
        lament(str(error))
        pytest.skip(f"no Chromium: {error}")


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    os.environ["PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD"] = "1"
    expect.set_options(timeout=WAIT_MILLISECONDS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture
def watch(browser: Browser) -> Iterator[Watch]:
    """A browser's profile of this test's own; what goes wrong in it fails the test at its end."""
    context = browser.new_context(viewport=DESKTOP, locale="en-GB", timezone_id="UTC", accept_downloads=False)
    context.set_default_timeout(WAIT_MILLISECONDS)
    watch = Watch(context)
    yield watch
    watch.close()
    watch.check()


@pytest.fixture
def page(watch: Watch) -> Page:
    return watch.context.new_page()


@pytest.fixture
def sandbox(watch: Watch) -> Iterator[Sandbox]:
    """All three CRMs, without accounts and limits."""
    crms = {name: emulate(name, limits=False) for name in NAMES}
    with serve(create_app(*crms.values())) as server:
        for crm in crms.values():
            locate(crm, server.url)
        yield Sandbox(server.url, crms)
        watch.close()


@pytest.fixture
def scene(house: House, database: str, sandbox: Sandbox) -> Scene:
    """An organization without any CRM, and its user."""
    return Scene.set_up(house, database, sandbox)


@pytest.fixture
def daemon(scene: Scene, tmp_path: Path) -> Iterator[Process]:
    with process(tmp_path, scene.database) as running:
        yield running


@pytest.fixture
def console(scene: Scene, tmp_path: Path, watch: Watch) -> Iterator[ConsoleProcess]:
    with console_of(scene, tmp_path) as running:
        yield running
        watch.close()
        assert not running.faults, "the console says:\n" + "\n".join(running.faults)


@pytest.fixture
def signed_in(console: ConsoleProcess, page: Page) -> Page:
    """A page on which the scene's user is signed in, on the dashboard."""
    console.sign_in(page)
    return page
