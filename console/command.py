"""The commands of the console."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import click
import jwt

from console import users
from console.serve import serve
from console.settings import ConsoleSettings
from listener.commands.base import fail, require_database
from listener.errors import EX_CONFIG, Refusal


@click.command()
def console() -> None:
    """Serve the web console until SIGTERM or Ctrl-C.

    Example: CRM_SYNC_PUBLIC_URL=https://crm.example.com crm-sync console
    """
    require_database()
    try:
        asyncio.run(serve(ConsoleSettings.from_environment()))
    except Refusal as refusal:
        fail(str(refusal), refusal.exit_status)


@click.command()
@click.option("--user", required=True, help="The user's e-mail address or id, as the table users has it.")
@click.option("--hours", type=click.IntRange(1, 24 * 30), default=12, show_default=True, help="How long it counts.")
def sign_in_link(user: str, hours: int) -> None:
    """Make a link that signs somebody in, where no application does.

    Whoever has the link is that user: send it on a private way. Needs CRM_SYNC_JWT_SECRET.

    Example: crm-sync sign-in-link --user ada@example.com
    """
    url = require_database()
    try:
        settings = ConsoleSettings.from_environment()
        if settings.jwt_secret is None:
            fail(
                "Links are signed with CRM_SYNC_JWT_SECRET, which is not set: your application signs people in.",
                EX_CONFIG,
            )
        found = users.find(url, user)
    except Refusal as refusal:
        fail(str(refusal), refusal.exit_status)
    claims = {
        "sub": str(found.id),
        "email": found.email,
        "role": "authenticated",
        "aud": settings.jwt_audience,
        "exp": int(time.time() + timedelta(hours=hours).total_seconds()),
        **({"iss": settings.jwt_issuer} if settings.jwt_issuer else {}),
    }
    token = jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm="HS256")
    click.echo(f"{settings.public_url}/sign-in#{token}")
