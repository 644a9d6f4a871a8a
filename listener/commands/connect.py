"""The commands that connect a CRM from a terminal, and end a connection."""

from __future__ import annotations

import asyncio
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import click

from listener import logs
from listener.authorize import Connected, Flow, NotConnected
from listener.commands.base import fail, require_database
from listener.commands.loopback import Loopback, is_loopback
from listener.commands.options import CONNECTION
from listener.connections import find_provider, identify, sentence, store
from listener.db import Database
from listener.errors import EX_UNAVAILABLE, DatabaseTrouble, Refusal
from listener.service import check
from listener.settings import Settings
from providers.base import Http, open_http
from providers.errors import ProviderError

WAIT_SECONDS = 600.0
LONGEST_TOKEN = 10_000
T = TypeVar("T")

HAVE_OWN_HOSTS = ("salesforce",)
"""CRMs whose accounts are nowhere but at hosts of their own."""
HINTS = {
    "unknown_provider": "\nThis version knows hubspot, salesforce and pipedrive; integration_providers says which are "
    "switched on.",
    "not_allowed": "\nOr there is none of this id: select id, name from organizations.",
}

ANOTHER_ACCOUNT = """
These credentials are for {account}, but the ids that we hold are of another account. Nothing is sent until you decide:
  connect the former account again, or
  select crm_sync.adopt_account({id}, false);  -- forget the ids: every record is looked up or made anew
  select crm_sync.adopt_account({id}, true);   -- keep the ids: the account is a copy of the former one"""


@click.command()
@click.argument("provider")
@click.option("--organization", required=True, type=click.UUID, help="Whose connection it is: organizations.id.")
@click.option("--name", default="default", show_default=True, help="Tells several connections to one CRM apart.")
@click.option(
    "--port", default=8914, show_default=True, type=click.IntRange(1, 65535), help="Where the browser returns."
)
@click.option("--login-host", help="Where you log in: test.salesforce.com, or a My Domain of Salesforce.")
@click.option("--no-browser", is_flag=True, help="Only print the page to open.")
@click.option("--token-stdin", is_flag=True, help="Store a token that is read from standard input instead.")
@click.option(
    "--instance-url", help="With --token-stdin: the account's own host, where the CRM gives each one of its own."
)
@click.option("--unchecked", is_flag=True, help="With --token-stdin: store the token without trying it.")
def connect(
    provider: str,
    organization: UUID,
    name: str,
    port: int,
    login_host: str | None,
    no_browser: bool,
    token_stdin: bool,
    instance_url: str | None,
    unchecked: bool,
) -> None:
    """Connect a CRM to an organization, or connect it again: by its consent page, or by a token.

    Example: crm-sync connect hubspot --organization 7f0c6f0e-…

    Example: crm-sync connect pipedrive --organization 7f0c6f0e-… --token-stdin < token
    """
    if not token_stdin and (instance_url or unchecked):
        raise click.UsageError("--instance-url and --unchecked go with --token-stdin.")
    if token_stdin and provider in HAVE_OWN_HOSTS and not instance_url:
        raise click.UsageError(
            f"A token of {provider} needs --instance-url: the account's own host, as the address bar shows it."
        )
    if token_stdin and login_host:
        raise click.UsageError("--login-host is for the consent page; a token needs --instance-url.")
    require_database()  # before the token is read: it may start this command again
    given = _token(instance_url, provider) if token_stdin else None

    async def work() -> Connected:
        async with _opened() as (settings, database, http):
            if given is not None:
                return await _store(database, http, organization, provider, name, given, is_checked=not unchecked)
            app = settings.apps.get(provider)
            registered = app.redirect_uri if app is not None else ""
            redirect_uri = registered if is_loopback(registered) else f"http://127.0.0.1:{port}/callback"
            flow = Flow(database, settings.apps, http)
            return await _ask(flow, organization, provider, name, redirect_uri, login_host, with_browser=not no_browser)

    _tell(_run(work()))


@click.command()
@click.argument("integration_id", type=CONNECTION)
def disconnect(integration_id: int) -> None:
    """End a connection (its number is in the first column of crm-sync status); its settings and mappings stay.

    Example: crm-sync disconnect 7
    """

    require_database()

    async def work() -> bool:
        async with _opened() as (_, database, _):
            return await database.disconnect(integration_id)

    click.echo("Disconnected." if _run(work()) else "It was disconnected already.")


async def _ask(
    flow: Flow,
    organization: UUID,
    provider: str,
    name: str,
    redirect_uri: str,
    login_host: str | None,
    *,
    with_browser: bool,
) -> Connected:
    loopback = Loopback(redirect_uri)
    try:
        async with loopback.listening():
            left = await flow.begin(organization, provider, redirect_uri=redirect_uri, name=name, login_url=login_host)
            click.echo(f"The app must have this redirect URI: {redirect_uri}")
            click.echo(f"Open this page in a browser on this machine and allow the access:\n\n  {left.url}\n")
            if with_browser:
                # a browser of the terminal's own stays as long as its user likes
                threading.Thread(target=webbrowser.open, args=(left.url,), daemon=True).start()
            came = await loopback.wait(left.state, WAIT_SECONDS)
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise NotConnected("expired") from None
        raise NotConnected(
            "invalid_request", f"nothing can listen at {redirect_uri} ({error.strerror}): choose another --port"
        ) from None
    return await flow.finish(
        provider,
        code=came.get("code"),
        state=came.get("state"),
        session_secret=left.session_secret,
        error=came.get("error"),
    )


async def _store(
    database: Database,
    http: Http,
    organization: UUID,
    provider: str,
    name: str,
    given: dict[str, str],
    *,
    is_checked: bool,
) -> Connected:
    account = None
    display_name, config = await find_provider(database, provider)
    if is_checked:
        try:
            account = await identify(provider, config, given, http)
        except ProviderError as error:
            words = sentence(error.message.replace(given["access_token"], "[token]"))
            raise NotConnected("connection_failed", f"{words} Nothing was stored; --unchecked would") from None
    return await store(database, organization, provider, display_name, name, given, account)


def _token(instance_url: str | None, provider: str) -> dict[str, str]:
    """From standard input, never from the command line, which all users of a machine can read."""
    if sys.stdin.isatty():
        click.echo("Paste the token, then Ctrl-D:", err=True)
    token = sys.stdin.read(LONGEST_TOKEN + 1).strip()
    if not token or len(token) > LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        fail("standard input has no token on one line", 2)
    if instance_url is None:
        return {"access_token": token}
    return {"access_token": token, "api_domain" if provider == "pipedrive" else "instance_url": instance_url}


def _tell(connected: Connected) -> None:
    account = "an account that it did not name yet" if connected.account is None else connected.account.words
    again = "" if connected.is_new else " again"
    click.echo(f"Connected{again}: {connected.display_name}, {account}, as connection {connected.integration_id}.")
    if connected.is_other_account:
        click.echo(ANOTHER_ACCOUNT.format(account=account, id=connected.integration_id))


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Settings, Database, Http]]:
    settings = Settings.from_environment()
    logs.configure(settings.model_copy(update={"log_level": "error"}))
    database = await Database.open(settings)
    try:
        await check(database)
        async with open_http(4) as http:
            yield settings, database, http
    finally:
        await database.close()


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except NotConnected as refusal:
        hint = HINTS.get(refusal.code, "")
        fail(f"nothing was connected ({refusal.code})\n{refusal.words}{hint}", 1)
    except Refusal as refusal:
        fail(str(refusal), refusal.exit_status)
    except DatabaseTrouble as trouble:
        fail(f"the database did not answer: {trouble}", EX_UNAVAILABLE)
