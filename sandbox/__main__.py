"""`python -m sandbox`: every emulated CRM on one port, with a page that shows what they contain."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from sandbox.app import create_app
from sandbox.hubspot import HubSpot
from sandbox.server import serve


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8900, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--no-limits", action="store_true", help="do not enforce rate limits")
    parser.add_argument("--empty", action="store_true", help="open no portal: others will, through the control API")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    hubspot = HubSpot(limits=not options.no_limits)
    try:
        with serve(create_app(hubspot), options.port) as server:
            print(f"CRM sandbox: {server.url}/", flush=True)
            print(f"HubSpot API: {server.url}/hubspot", flush=True)
            if not options.empty:
                portal = hubspot.open_portal(name="sandbox.test")
                print(f"Portal {portal.hub_id} with the static token {portal.static_token}", flush=True)
            stopped.wait()
    except OSError as error:
        print(f"cannot listen on 127.0.0.1:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
