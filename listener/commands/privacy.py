"""The commands of whoever answers for people's data: what is held of somebody, and that it is to go."""

from __future__ import annotations

from uuid import UUID

import click

from listener.commands.base import fail, require_database
from listener.commands.options import confirm, dry_run_option, json_option, yes_option
from listener.commands.tables import show
from listener.commands.troubles import EX_NO, acting, clear_words
from listener.commands.values import to_json
from sql import ask


@click.command("erase-contact")
@click.argument("contact", type=click.UUID)
@click.option("--in-crm", is_flag=True, help="Have the CRMs delete what was made for it as well.")
@click.option("--reason", help="Why; it is kept. Say no name.")
@click.option("--word", "words", multiple=True, help="Also look for this in texts about others; repeatable.")
@yes_option
@dry_run_option
@json_option
def erase_contact(
    contact: UUID, in_crm: bool, reason: str | None, words: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Erase a contact from all that pg-crm-sync holds, and send nothing of it again; see docs/privacy.md.

    It says what it removed, and what is left for the host application, for a person or for the CRMs.

    Example: crm-sync erase-contact 0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52 --in-crm --reason "request of 3 May"
    """
    if not dry_run:
        confirm(
            "Everything that is held of this contact is removed, and nobody can bring it back"
            + (", nor what the CRMs delete." if in_crm else "."),
            yes,
        )
    with acting(dry_run=dry_run) as session:
        done = session.rows(
            "erase_contact", p_contact_id=contact, p_in_crm=in_crm, p_reason=reason, p_words=list(words) or None
        )
    if as_json:
        for row in done:
            click.echo(to_json({**row, "dry_run": dry_run}))
        return
    show(done, as_json=False, empty="Nothing was held of this contact. It is not sent from now on.")
    if dry_run:
        click.echo("it was undone, as --dry-run asks")


@click.command("lift-erasure")
@click.argument("contact", type=click.UUID)
@dry_run_option
@json_option
def lift_erasure(contact: UUID, dry_run: bool, as_json: bool) -> None:
    """Let a contact that was erased be sent again, from its next reply on.

    Example: crm-sync lift-erasure 0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52
    """
    with acting(dry_run=dry_run) as session:
        session.call("lift_erasure", p_contact_id=contact)
    if as_json:
        click.echo(to_json({"contact_id": str(contact), "lifted": True, "dry_run": dry_run}))
    else:
        click.echo("it may be sent again" + ("; it was undone, as --dry-run asks" if dry_run else ""))


@click.command("personal-data")
@click.argument("contact", type=click.UUID)
@click.option("--thorough", is_flag=True, help="Also what words about others quote; reads all rows.")
@json_option
def personal_data(contact: UUID, thorough: bool, as_json: bool) -> None:
    """Show what is held of a contact, in which tables, and until when; exits with 1 if nothing is.

    Example: crm-sync personal-data 0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52 --thorough
    """
    url = require_database()
    with clear_words():
        found = ask.rows(url, "select * from crm_sync.personal_data(%s, %s)", (contact, thorough))
    if not found:
        fail("nothing is held of a contact of this id (contacts.id)", EX_NO)
    show(found, as_json=as_json, empty="", first=("what", "integration_id", "rows", "holds"))
