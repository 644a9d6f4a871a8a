"""One emulated HubSpot in a process of its own, which tells when each request came in.

It speaks the protocol of `bench.workers`: `python -m bench.portal PORT` prints `ready`, and `start NS` for each request
to the CRM's API. The documented limits are in nobody's way here: neither it nor our budgets know them.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.cluster import KEY, Cluster
from bench.workers import Workers
from sandbox.app import create_app
from sandbox.crms import emulate
from sandbox.demo.control import Control
from sandbox.demo.crms import CRMS
from sandbox.server import serve

CRM = "hubspot"
PLENTY = 1_000_000

LEAD_THERE = """
update public.integration_providers
set config = config || %s::jsonb || jsonb_build_object('limits', (
  select jsonb_object_agg(l.key, l.value || jsonb_build_object('calls', %s::integer)) from jsonb_each(config -> 'limits') as l
))
where name = %s
"""
CONNECT = "update public.user_integrations set credentials = %s"


@contextmanager
def portal(running: Cluster) -> Iterator[Workers]:
    """The emulator's process; every connection of the database leads to one account of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Workers([[sys.executable, "-m", "bench.portal", str(port)]], os.environ) as workers:
        control = Control(f"http://127.0.0.1:{port}")
        account = control.open_account(CRM, CRM)
        control.close()
        with psycopg.connect(running.url) as connection:
            connection.execute("select set_config('crm_sync.encryption_key', %s, true)", [KEY])
            connection.execute(LEAD_THERE, [json.dumps(CRMS[CRM].urls(control.api(CRM))), PLENTY, CRM])
            connection.execute(CONNECT, [json.dumps({"access_token": account["static_token"]})])
        yield workers


class _Told:
    """An app that tells of each request to the CRM before it looks at it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived = time.monotonic_ns()
        if scope["path"].startswith(f"/{CRM}/"):
            print("start", arrived, flush=True)
        await self._app(scope, receive, send)


def main(port: int) -> None:
    with serve(_Told(create_app(emulate(CRM, limits=False))), port):
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
