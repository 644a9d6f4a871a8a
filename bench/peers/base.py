"""A job queue on Postgres that a user could pick instead: how its jobs are put in, counted and worked on."""

from __future__ import annotations

import json
import os
import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from bench.peers.install import (
    HERE,
    NODE_MODULES,
    PACKAGES,
    PYTHON,
    REQUIREMENTS,
    VENV,
    install_node,
    install_python,
    node,
)

CHUNK = 200_000
"""Jobs put in by one statement: more would only take memory."""


@dataclass(frozen=True, kw_only=True)
class Peer(ABC):
    """One peer, at the best settings that were found for it.

    Attributes:
        name: in keys of figures and in the name of its database.
        package: in its registry.
        settings: of its worker, in one line.
        enqueue: puts in `jobs` jobs that do nothing, notification included, as its own client does.
        unfinished: selects jobs that wait or are under way.
        tables: what it keeps of its jobs.
        worker: the worker's program.
    """

    name: str
    package: str
    settings: str
    enqueue: str
    unfinished: str
    tables: str
    worker: str

    @property
    @abstractmethod
    def version(self) -> str:
        """As pinned."""

    @abstractmethod
    def install(self) -> None:
        """Make it available on this machine, once.

        Raises:
            UnavailableError: that cannot be done.
        """

    @abstractmethod
    def prepare(self, url: str) -> None:
        """Put its schema into an empty database."""

    @abstractmethod
    def command(self) -> list[str]:
        """One worker process, which speaks the protocol of `bench.workers`."""

    def environ(self, url: str) -> dict[str, str]:
        """The worker's environment."""
        return {**os.environ, "DATABASE_URL": url, "BENCH_NODE_MODULES": str(NODE_MODULES), "NODE_ENV": "production"}

    def fill(self, url: str, jobs: int) -> None:
        """Put in so many jobs, and leave the tables as autovacuum would sooner or later."""
        with psycopg.connect(url, autocommit=True) as connection:
            for done in range(0, jobs, CHUNK):
                connection.execute(self.enqueue.encode(), {"jobs": min(CHUNK, jobs - done)})
            connection.execute("vacuum analyze")

    def enqueue_one(self, connection: psycopg.Connection) -> None:
        """One job in the open transaction."""
        connection.execute(self.enqueue.encode(), {"jobs": 1})

    def waiting(self, url: str) -> bool:
        """Whether any job waits or is under way."""
        with psycopg.connect(url, autocommit=True) as connection:
            return self.is_waiting(connection)

    def is_waiting(self, connection: psycopg.Connection) -> bool:
        """The same over a connection that is open already."""
        row = connection.execute(f"select exists ({self.unfinished})".encode()).fetchone()
        assert row is not None
        return bool(row[0])

    def clear(self, url: str) -> None:
        """Forget all jobs."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"truncate {self.tables} cascade".encode())


@dataclass(frozen=True, kw_only=True)
class PythonPeer(Peer):
    """A peer for Python; `schema` are the words after the environment's `bin/` that print its schema."""

    schema: Sequence[str]

    @property
    def version(self) -> str:
        found = re.search(rf"^{self.package}==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)
        assert found is not None
        return found[1]

    def install(self) -> None:
        install_python()

    def prepare(self, url: str) -> None:
        program, *words = self.schema
        script = subprocess.run([VENV / "bin" / program, *words], stdout=subprocess.PIPE, check=True).stdout
        with psycopg.connect(url) as connection:
            connection.execute(script)

    def command(self) -> list[str]:
        return [str(PYTHON), str(HERE / "python" / "worker.py"), self.worker]


@dataclass(frozen=True, kw_only=True)
class NodePeer(Peer):
    """A peer for Node; its program puts in its own schema."""

    @property
    def version(self) -> str:
        return str(json.loads(PACKAGES.read_text())["dependencies"][self.package])

    def install(self) -> None:
        install_node()

    def prepare(self, url: str) -> None:
        subprocess.run([*self.command(), "prepare"], env=self.environ(url), stdin=subprocess.DEVNULL, check=True)

    def command(self) -> list[str]:
        return [str(node()), str(HERE / "node" / self.worker)]
