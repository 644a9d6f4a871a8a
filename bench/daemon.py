"""The real daemon, started as systemd starts it: `crm-sync run`, in a process of its own, that says when it is ready."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.cluster import KEY, Cluster

READY_SECONDS = 20.0
END_SECONDS = 10.0
COMMAND = (sys.executable, "-m", "listener.cli", "run")


@dataclass(frozen=True)
class Daemon:
    """A daemon that is at work; `ready_seconds` is how long that took from its exec on."""

    pid: int
    ready_seconds: float


@contextmanager
def daemon(running: Cluster) -> Iterator[Daemon]:
    """Started with the defaults of every setting, ended on exit. Raises TimeoutError when it does not become ready."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(f"{folder}/notify")
        environ = {
            **os.environ,
            "DATABASE_URL": running.url,
            "INTEGRATION_ENCRYPTION_KEY": KEY,
            "CRM_SYNC_LOG_LEVEL": "error",
            "NOTIFY_SOCKET": f"{folder}/notify",
        }
        begun = time.monotonic()
        process = subprocess.Popen(COMMAND, env=environ)
        try:
            ear.settimeout(READY_SECONDS)
            while b"READY=1" not in ear.recv(4096):
                pass
            yield Daemon(process.pid, time.monotonic() - begun)
        finally:
            process.terminate()
            process.wait(END_SECONDS)
