"""What a CRM or a tenant wrote comes out on terminals, in logs and in systemd's status as letters, and does nothing."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from listener import logs
from listener.commands.base import fail
from listener.commands.configuration import line
from listener.commands.document import parse
from listener.commands.tables import cell, show
from listener.errors import InvalidSettings
from listener.journal import visible
from listener.supervisor import Supervisor
from sql.configuration import Change
from tests.listener.daemons import settings_for

STRANGE = "[red]x[/red] \x1b[31mred\x1b[2J \x9b1m \u202eevil \u2066 \x07 \x7f \r\nWATCHDOG=trigger \U000e0041"
STEERS = "\x1b\x9b\u202e\u2066\x07\x7f\r\U000e0041"


def assert_tame(text: str) -> None:
    assert "[red]x[/red]" in text
    assert not set(STEERS) & set(text), ascii(text)


def test_a_table_a_refusal_and_a_difference_show_markup_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"name": STRANGE, "provider": STRANGE, "words": STRANGE, "facts": {STRANGE: [STRANGE]}}
    show([row], as_json=False, empty="")
    show([row], as_json=False, empty="", as_blocks=True)
    show([row], as_json=True, empty="")
    said = capsys.readouterr().out
    assert_tame("".join(said.splitlines(keepends=True)[:-1]))
    assert_tame(cell("x", STRANGE).plain)
    with pytest.raises(SystemExit):
        fail(STRANGE, 1)
    assert_tame(capsys.readouterr().err)
    plain = line(Change(STRANGE, STRANGE, None)).replace("\x1b[", "")
    assert not set(STEERS) - {"\x1b"} & set(plain)


def test_a_log_for_people_shows_no_sign_that_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str], database: str
) -> None:
    configured = structlog.get_config()
    try:
        logs.configure(settings_for(database, log_format="text"))
        structlog.get_logger().warning("said", reason=STRANGE)
        said = capsys.readouterr().err
    finally:
        structlog.configure(**configured)
    assert "[red]x[/red]" in said
    assert not set("\x9b\u202e\u2066\x07\x7f\r\U000e0041") & set(said)
    assert "\x1b[2J" not in said


def test_words_with_a_line_end_are_no_second_message_to_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        supervisor = Supervisor.of_this_process()
        supervisor.say(STRANGE)
        heard = ear.recv(4096).decode()
    assert_tame(heard)
    assert "\n" not in heard


@given(text=st.text())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    assert len(visible(text)) == len(text)
    assert all(after == before or not before.isprintable() for before, after in zip(text, visible(text), strict=True))


BOMB = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 8)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 700, "a: " * 900, "- " * 900, "{" * 700, "!!python/object/apply:os.system ['true']", "\x00"),
        *(
            "a: 1\na: 2",
            "a: !!binary x",
            "<<: [1]",
            "&a [*a]",
            "a: .inf",
            "a: .nan",
            "a: 1e999999999",
            "? [1]\n: 2",
            "a: &a [*a]",
            "a: &a {b: *a}",
            BOMB,
        ),
    ],
    ids=lambda text: repr(text)[:24],
)
def test_a_file_of_settings_that_is_a_trap_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        parse(text)
    assert str(refused.value)


@given(text=st.one_of(st.text(max_size=60), st.text(alphabet="-:?[]{}&*!|>'\"%@#, \n\tab01~<.", max_size=40)))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_any_text_is_a_document_or_refused_in_words(text: str) -> None:
    try:
        document = parse(text)
    except InvalidSettings as refused:
        document = str(refused)
    assert document
