"""`python -m sandbox`: every emulated CRM on one port, with a page that shows what they contain."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from sandbox.app import Crm, create_app
from sandbox.crms import NAMES, emulate, locate
from sandbox.overview_records import TITLES
from sandbox.server import serve

# what a script may use for good, without OAuth
LASTING_TOKENS = ("static_token", "api_token", "access_token")


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8900, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--no-limits", action="store_true", help="do not enforce rate limits")
    parser.add_argument("--empty", action="store_true", help="open no account: others will, through the control API")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    crms = [emulate(name, limits=not options.no_limits) for name in NAMES]
    try:
        with serve(create_app(*crms), options.port) as server:
            print(f"CRM sandbox: {server.url}/", flush=True)
            for crm in crms:
                locate(crm, server.url)
                print(f"{TITLES[crm.name]} API: {server.url}/{crm.name}", flush=True)
                if not options.empty:
                    print(_opened(crm), flush=True)
            stopped.wait()
    except OSError as error:
        print(f"cannot listen on 127.0.0.1:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _opened(crm: Crm) -> str:
    """A first account, and the token that opens it."""
    account = crm.open_account({"name": "sandbox.test"})
    name = next(name for name in LASTING_TOKENS if name in account)
    return f"  account {account['account']} with the {name.replace('_', ' ')} {account[name]}"


if __name__ == "__main__":
    sys.exit(main())
