"""Where the browser of these tests comes from, on every kind of machine."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.browser.chromium import APT, APT_SECONDS, NoChromiumError, Provider, lament

PLACE = "/usr/bin/chromium"


class Apt:
    """A machine on which apt-get installs Chromium, or fails with `problem`."""

    def __init__(self, problem: str | None = None, *, gives: bool = True) -> None:
        self.programs = {"apt-get": "/usr/bin/apt-get"}
        self.commands: list[tuple[str, ...]] = []
        self.seconds: list[float] = []
        self._problem = problem
        self._gives = gives

    def run(self, command: tuple[str, ...], seconds: float) -> str | None:
        self.commands.append(command)
        self.seconds.append(seconds)
        if self._problem is None and self._gives and "install" in command:
            self.programs["chromium"] = PLACE
        return self._problem

    def provider(self, folder: Path, *, is_root: bool = True, **environ: str) -> Provider:
        return Provider(self.programs.get, self.run, is_root=is_root, note=folder / "note", environ=environ)


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_the_systems_own_is_taken(tmp_path: Path, name: str) -> None:
    apt = Apt()
    apt.programs[name] = f"/usr/bin/{name}"
    assert apt.provider(tmp_path).get() == f"/usr/bin/{name}"
    assert apt.commands == []


def test_an_empty_machine_gets_one_in_bounded_time_and_once(tmp_path: Path) -> None:
    apt = Apt()
    with ThreadPoolExecutor(4) as processes:
        got = list(processes.map(lambda _: apt.provider(tmp_path).get(), range(4)))
    assert got == [PLACE] * 4
    assert apt.commands == list(APT)
    assert all(0 < seconds <= APT_SECONDS for seconds in apt.seconds)


def test_what_fails_is_said_and_not_tried_again_in_the_same_run(tmp_path: Path) -> None:
    apt = Apt("status 100: no network")
    for _ in range(2):
        with pytest.raises(NoChromiumError, match="apt-get update -qq: status 100: no network"):
            apt.provider(tmp_path).get()
    assert len(apt.commands) == 1


def test_an_installation_that_brings_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoChromiumError, match="there is none of chromium"):
        Apt(gives=False).provider(tmp_path).get()


def test_without_root_or_apt_nothing_is_tried(tmp_path: Path) -> None:
    apt = Apt()
    with pytest.raises(NoChromiumError, match="only root can"):
        apt.provider(tmp_path, is_root=False).get()
    (tmp_path / "note").unlink()
    apt.programs.clear()
    with pytest.raises(NoChromiumError, match="no apt-get"):
        apt.provider(tmp_path).get()
    assert apt.commands == []


def test_a_named_one_is_taken_or_missed(tmp_path: Path) -> None:
    apt = Apt()
    apt.programs["my-chrome"] = "/opt/my-chrome"
    assert apt.provider(tmp_path, CRM_SYNC_TEST_CHROMIUM="my-chrome").get() == "/opt/my-chrome"
    for name in ("another", "none"):
        with pytest.raises(NoChromiumError, match=f"CRM_SYNC_TEST_CHROMIUM={name}"):
            apt.provider(tmp_path, CRM_SYNC_TEST_CHROMIUM=name).get()


def test_doing_without_is_loud() -> None:
    said = io.StringIO()
    lament("no network", said)
    assert "NOT tested in a browser: no network" in said.getvalue()
    assert said.getvalue().count("!!!!") > 2
