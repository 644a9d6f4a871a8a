"""A port for a server that is about to start."""

from __future__ import annotations

import secrets
import socket

PORTS = range(15000, 32000)
"""Below the range that the kernel gives to whoever asks for any port, and to outgoing connections.

In that range somebody else may be given the port before the server has it; and a client that retries while the server
is down may be given it, and connect to itself.
"""
TRIES = 50


def free_port(wanted: int = 0) -> int:
    """The wanted one, or any if that is 0; raises OSError when somebody else listens there."""
    if wanted:
        return _try(wanted)
    for _ in range(TRIES):
        try:
            return _try(secrets.choice(PORTS))
        except OSError:
            continue
    raise RuntimeError(f"no free port on 127.0.0.1 between {PORTS.start} and {PORTS.stop}")


def _try(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    return port
