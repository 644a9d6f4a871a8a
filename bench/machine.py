"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from bench.cluster import Cluster

SETTINGS = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "max_wal_size",
    "work_mem",
    "autovacuum",
    "jit",
)


def machine() -> dict[str, str | int | None]:
    """Processor, cores, memory and system; no name of a host."""
    found = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", _read("/proc/meminfo"), re.MULTILINE)
    return {
        "cpu": found[1] if found else platform.machine(),
        "cpus": os.cpu_count(),
        "memory_gb": round(int(memory[1]) / 2**20) if memory else None,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def server_settings(running: Cluster) -> dict[str, str]:
    """The settings of the server that bear on what is measured; all but none are Postgres' own defaults."""
    return {name: str(running.value(f"show {name}")) for name in SETTINGS}


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
