"""A Postgres for machines that have none: started for its owner, reachable by nobody else, gone when its owner is gone.

    from sandbox.postgres import embedded

    with embedded(fast=True) as postgres:            # a temporary cluster, removed at the end
        psycopg.connect(postgres.url)

    with embedded(Path("~/state").expanduser(), work_mem="64MB") as postgres:   # kept, one owner at a time
        ...

From a shell, `python -m sandbox.postgres -- COMMAND` runs COMMAND with DATABASE_URL set to a kept cluster.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psycopg

from sandbox.pg_account import Account, reachable_binaries
from sandbox.pg_binaries import Binaries, NoPostgresError, check_binaries, find_binaries
from sandbox.pg_data import DataDirectoryError, DataFolder, RunFolder, new_password
from sandbox.pg_keeper import Keeper, Word
from sandbox.ports import free_port

__all__ = [
    "Binaries",
    "DataDirectoryError",
    "EmbeddedPostgres",
    "NoPostgresError",
    "PostgresFailedError",
    "check_binaries",
    "embedded",
    "find_binaries",
]

Setting = str | int | bool
Mode = Literal["fast", "immediate"]

DEFAULTS: dict[str, Setting] = {
    "max_connections": 200,
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "logging_collector": False,
}
# For data that is thrown away: nothing is written for the case of a crash.
FAST: dict[str, Setting] = {"fsync": False, "synchronous_commit": False, "full_page_writes": False}
START_SECONDS = 60.0
_WORDS: dict[Mode, Word] = {"fast": "INT", "immediate": "QUIT"}


class PostgresFailedError(RuntimeError):
    """The server or initdb did not do what was asked; the message ends with the tail of the server's log."""


class EmbeddedPostgres:
    """One cluster with one server, owned by this process; made by `embedded`.

    `url` is a superuser's, over TCP on 127.0.0.1, and stays the same over `stop`, `start` and `restart`. `settings`
    are given on the server's command line, so they win over postgresql.conf and ALTER SYSTEM. To be started and stopped
    by one thread only.
    """

    def __init__(self, data_dir: Path | None, settings: dict[str, Setting], *, in_memory: bool = False) -> None:
        self.settings: dict[str, Setting] = {**DEFAULTS, **settings}
        self._owner = os.getpid()
        self._server: Keeper | None = None
        self._port: int | None = None
        self._log = -1
        self._closed = False
        self._data = None if data_dir is None else DataFolder(data_dir.expanduser().absolute())
        try:
            self._account = Account.choose(None if self._data is None else self._data.cluster)
            self.binaries = reachable_binaries(find_binaries(), self._account)
            self._run = RunFolder(self._account, in_memory=in_memory)
        except BaseException:
            if self._data is not None:
                self._data.close()
            raise
        self.socket_dir = self._run.path
        try:
            self._log = self._run.open_log() if self._data is None else self._data.open_log()
            self._cluster = self._prepare_temporary() if self._data is None else self._prepare_kept(self._data)
            self._run.hand_over(self._account)
            self._init_cluster()
        except BaseException:
            self.close()
            raise

    @property
    def port(self) -> int:
        if self._port is None:
            raise RuntimeError("this Postgres was never started")
        return self._port

    @property
    def url(self) -> str:
        """postgresql://postgres:PASSWORD@127.0.0.1:PORT/postgres"""
        return self.url_for("postgres", self._password)

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.status() is None

    def url_for(self, user: str, password: str, database: str = "postgres") -> str:
        name, word, base = (quote(part, safe="") for part in (user, password, database))
        return f"postgresql://{name}:{word}@127.0.0.1:{self.port}/{base}"

    def start(self) -> None:
        """Start the server and return when it answers. Raises PostgresFailedError with the tail of its log."""
        if self.running:
            return
        if self._data is not None:
            self._data.drop_stale_pid()
        for attempts_left in (4, 3, 2, 1, 0):
            port = self._port or free_port()
            try:
                self._start_on(port)
            except PostgresFailedError as error:
                # Between finding a port and binding it somebody else may take it; a known port is not given up.
                if self._port is None and attempts_left and "Address already in use" in str(error):
                    continue
                raise
            self._port = port
            return

    def stop(self, mode: Mode = "fast") -> None:
        """Stop the server and wait for its end; `immediate` is a crash as far as the data is concerned."""
        if self._server is None or os.getpid() != self._owner:
            return
        server, self._server = self._server, None
        _end(server, mode)

    def restart(self, mode: Mode = "fast", **settings: Setting) -> None:
        """Stop and start on the same port; `settings` are added to the ones it had."""
        self.stop(mode)
        self.settings.update(settings)
        self.start()

    def kill(self) -> None:
        """SIGKILL to the server's first process, as a crash would: the others end as soon as they notice.

        Returns when all have ended; `start` has it recover.
        """
        if self._server is None or os.getpid() != self._owner:
            return
        first = int((self._cluster / "postmaster.pid").read_text().partition("\n")[0])
        others = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        server, self._server = self._server, None
        os.kill(first, signal.SIGKILL)
        server.wait(START_SECONDS)
        deadline = time.monotonic() + START_SECONDS
        while any(Path("/proc", pid).exists() for pid in others) and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        """Stop the server and give up the folders; a temporary cluster is removed. Does nothing in a forked child."""
        if os.getpid() != self._owner or self._closed:
            return
        self._closed = True
        self.stop("fast" if self._data is not None else "immediate")
        if self._log >= 0:
            os.close(self._log)
        self._run.remove()
        if self._data is not None:
            self._data.close()

    def _prepare_temporary(self) -> Path:
        self._password = new_password()
        self._password_file = self._run.write_password(self._password, self._account)
        return self._run.make_folder("pgdata", self._account)

    def _prepare_kept(self, data: DataFolder) -> Path:
        data.let_in(self._account)
        self._password = data.password()
        self._password_file = self._run.write_password(self._password, self._account)
        if data.exists and data.major != self.binaries.major:
            raise DataDirectoryError(
                f"{data.path} was made by PostgreSQL {data.major}, but {self.binaries.bin} (from "
                f"{self.binaries.source}) is {self.binaries.version}: set EMBEDDED_PG_BIN to the folder of a "
                f"PostgreSQL {data.major}, or move the data away"
            )
        return data.cluster

    def _init_cluster(self) -> None:
        if self._data is None:
            self._initdb(self._cluster, sync=False)
        elif not self._data.exists:
            # Made beside its place and moved there when complete: what a crash leaves is never taken for a cluster.
            making = self._data.remake("pgdata.new", self._account)
            self._initdb(making, sync=self.settings.get("fsync", True) is not False)
            making.rename(self._cluster)

    def _initdb(self, cluster: Path, sync: bool) -> None:
        argv = [str(self.binaries.bin / "initdb"), "-D", str(cluster), "-U", "postgres", "-A", "scram-sha-256"]
        argv += [f"--pwfile={self._password_file}", "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=libc"]
        keeper = self._keep(argv if sync else [*argv, "--no-sync"])
        try:
            status = keeper.wait(START_SECONDS)
        except BaseException as error:
            _end(keeper, "immediate")
            if isinstance(error, subprocess.TimeoutExpired):
                raise self._failure(f"initdb did not end within {START_SECONDS:.0f} s") from error
            raise
        if status != 0:
            raise self._failure(f"initdb of PostgreSQL {self.binaries.version} failed with status {status}")

    def _keep(self, argv: list[str]) -> Keeper:
        # The server's processes hold the lock too: it is free when the last of them is gone, not when we are.
        locks = () if self._data is None else (self._data.lock,)
        return Keeper(argv, self._account, self._run.path, self._log, locks)

    def _start_on(self, port: int) -> None:
        fixed: dict[str, Setting] = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": str(self._run.path),
            "unix_socket_permissions": "0700",
        }
        argv = [str(self.binaries.bin / "postgres"), "-D", str(self._cluster)]
        for name, value in {**self.settings, **fixed}.items():
            argv += ["-c", f"{name}={('on' if value else 'off') if isinstance(value, bool) else value}"]
        begun = os.fstat(self._log).st_size
        server = self._keep(argv)
        try:
            self._wait_until_ready(server, port, begun)
        except BaseException:
            _end(server, "immediate")
            raise
        self._server = server

    def _wait_until_ready(self, server: Keeper, port: int, begun: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        pause = 0.01
        while True:
            try:
                # Named one by one, as a PGSSLMODE or PGOPTIONS of the owner is not meant for this server.
                psycopg.connect(
                    host="127.0.0.1",
                    port=port,
                    user="postgres",
                    password=self._password,
                    dbname="postgres",
                    sslmode="disable",
                    options="",
                    connect_timeout=2,
                ).close()
            except psycopg.OperationalError as error:
                if (status := server.status()) is not None:
                    raise self._failure(f"the server ended at its start with status {status}", begun) from error
                if time.monotonic() > deadline:
                    raise self._failure(
                        f"the server did not answer for {START_SECONDS:.0f} s: {error}", begun
                    ) from error
            else:
                return
            time.sleep(pause)
            pause = min(pause * 2, 0.1)

    def _failure(self, what: str, begun: int = 0) -> PostgresFailedError:
        size = os.fstat(self._log).st_size
        start = max(begun, size - 3000)
        tail = os.pread(self._log, size - start, start).decode(errors="replace").strip()
        return PostgresFailedError(f"{what} ({self.binaries.bin}, as user {self._account.name}). Its log ends:\n{tail}")


@contextmanager
def embedded(data_dir: Path | None = None, *, fast: bool = False, **settings: Setting) -> Iterator[EmbeddedPostgres]:
    """A running Postgres: temporary, or kept in `data_dir`; `settings` are the server's.

    `fast` is for data that may be lost in a crash of the machine: no fsync, no waiting for the log, and what is
    temporary lies in memory where there is enough of it.
    Raises NoPostgresError, DataDirectoryError, UntrustedCopyError or PostgresFailedError; nothing is left behind then.
    """
    postgres = EmbeddedPostgres(data_dir, {**(FAST if fast else {}), **settings}, in_memory=fast and data_dir is None)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.close()


def _end(keeper: Keeper, mode: Mode) -> None:
    """Stop politely, then at once, then with force."""
    if not keeper.stop(_WORDS[mode], seconds=30) and not keeper.stop("QUIT", seconds=8):
        keeper.kill()


if __name__ == "__main__":
    from sandbox.pg_command import main

    sys.exit(main(sys.argv[1:]))
