"""The command that rotates the encryption key."""

from __future__ import annotations

import asyncio

import click

from listener.commands.base import fail, require_database
from listener.db import Database
from listener.documents import Seals
from listener.errors import DatabaseTrouble, Refusal
from listener.service import check
from listener.settings import Settings

MOST_ROUNDS = 10
"""A daemon that was not restarted yet seals with the old key what we have just looked at."""


@click.command("rotate-key")
def rotate_key() -> None:
    """Seal all credentials anew with INTEGRATION_ENCRYPTION_KEY, while daemons go on.

    The keys that they are sealed with so far are in INTEGRATION_ENCRYPTION_KEY_OLD. First start every daemon and
    console with both; when this command is content, take the old ones away and start them again.

    Example: INTEGRATION_ENCRYPTION_KEY_FILE=new INTEGRATION_ENCRYPTION_KEY_OLD_FILE=old crm-sync rotate-key
    """
    require_database()
    try:
        resealed, seals = asyncio.run(_reseal(Settings.from_environment()))
    except Refusal as refusal:
        fail(str(refusal), refusal.exit_status)
    except DatabaseTrouble as trouble:
        fail(f"the database does not let us go on: {trouble}; run it again, it goes on where it ended", 1)
    current = next((each for each in seals if each.is_current), None)
    click.echo(f"sealed anew: {resealed}")
    if current is not None:
        click.echo(f"sealed with key {current.key_id}: {_count(current)}")
    rest = [each for each in seals if not each.is_current]
    for each in rest:
        why = (
            "damaged, or sealed just now by a daemon that was not started with the new key"
            if each.opens
            else "a key that this command does not have"
        )
        click.echo(f"NOT sealed anew, key {each.key_id}: {_count(each)} ({why})", err=True)
    if rest:
        fail(
            "give a missing key in INTEGRATION_ENCRYPTION_KEY_OLD, start every daemon with both, and run it again; "
            "what is damaged or whose key is lost has to be connected again",
            1,
        )
    click.echo("Nothing is sealed with another key: INTEGRATION_ENCRYPTION_KEY_OLD can go.")


async def _reseal(settings: Settings) -> tuple[int, list[Seals]]:
    """How many were sealed anew, and how much is sealed with which key now."""
    database = await Database.open(settings)
    try:
        await check(database, sends=False)
        resealed = 0
        for _ in range(MOST_ROUNDS):
            if not (count := await _round(database)):
                break
            resealed += count
        return resealed, await database.count_seals()
    finally:
        await database.close()


async def _round(database: Database) -> int:
    count = 0
    after: int | None = 0
    while after is not None:
        after, more = await database.reseal(after)
        count += more
    return count


def _count(seals: Seals) -> str:
    return f"{seals.connections} connections, {seals.revocations} waiting to be revoked"
