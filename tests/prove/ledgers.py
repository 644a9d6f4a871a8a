"""Holds what the CRMs contain in the end, and what ever happened in them, against the rows that were committed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import permutations
from typing import Any
from uuid import UUID

import psycopg

from sandbox.demo.crms import CRMS
from sandbox.demo.facts import Reading
from sandbox.demo.facts_pipedrive import PipedriveReading
from sandbox.demo.oracle import Demand, DemandedContact, Rows, demands, read_rows
from sandbox.demo.proof import Proof, compare
from tests.prove.producers import PHONES
from tests.prove.scene import Tenant

VERSION = re.compile(r"\b(\d{4})v(\d+)\b")

CANCELLED = """
select q.integration_id, q.queue_type, q.contact_id, q.classification_id, q.message_id
from public.sync_queue as q where q.status = 'skipped' and q.last_error like 'cancelled by %'
"""


class _WithOldNumbers(PipedriveReading):
    """A person has a list of numbers there: a new one is added, and those of before stay."""

    def allowed(self, contact: DemandedContact) -> dict[str, set[str]]:
        values = super().allowed(contact)
        lists = [", ".join(each) for count in (1, 2) for each in permutations(PHONES, count)]
        return {**values, "phones": {each for each in lists for number in values["phones"] if number in each}}


READINGS: dict[str, Reading] = {name: crm.reading for name, crm in CRMS.items()} | {"pipedrive": _WithOldNumbers()}


def differences(url: str, tenants: Sequence[Tenant], days: tuple[date, date], voided: Iterable[str]) -> list[str]:
    """What is missing, doubled, wrong, a phantom or out of order; `voided` are last names that were rolled back.

    What an operator has cancelled may be there or not.
    """
    rows = read_rows(url)
    with psycopg.connect(url) as connection:
        cancelled = connection.execute(CANCELLED).fetchall()
    found: list[str] = []
    for tenant in tenants:
        mine = [row[1:] for row in cancelled if row[0] == tenant.integration]
        may = demands(rows, {message.organization_id for message in rows.messages} | {tenant.organization})
        must = _without(rows, mine)
        ledger = tenant.account.ledger
        least = _proof(tenant, must[tenant.organization], ledger, days)
        most = _proof(tenant, may[tenant.organization], ledger, days) if mine else least
        words = [each for each in least if " missing" in each] + [each for each in most if " doubled" in each]
        words += [each for each in least if " wrong" in each and each in most]
        found += [f"{tenant.crm} {tenant.account.number}: {each}" for each in words]
        found += [f"{tenant.crm} {tenant.account.number}: {each}" for each in disorder(tenant, set(voided))]
    return found


def _without(rows: Rows, cancelled: Sequence[tuple[Any, ...]]) -> dict[UUID, Demand]:
    """What must be there at least, where these rows were not to be sent."""
    gone = {classification for _, _, classification, _ in cancelled}
    kept = [each for each in rows.classifications if each.id not in gone]
    organizations = {message.organization_id for message in rows.messages}
    all_demands = demands(replace(rows, classifications=kept), organizations)
    without_deal = {contact for queue_type, contact, _, _ in cancelled if queue_type == "deal_sync"}
    untold = {message for queue_type, _, _, message in cancelled if queue_type == "activity_sync"}
    moments = {round(each.received_at.timestamp() * 1000) for each in rows.messages if each.id in untold}
    for contact in rows.contacts:
        demand = all_demands.get(contact.organization_id)
        if demand is not None and contact.id in without_deal:
            name = f"{contact.first_name} - Email Lead"
            demand.deals.pop(name, None)
            for links in (demand.deal_contacts, demand.deal_companies):
                for key in [key for key in links if key[0] == name]:
                    del links[key]
    for demand in all_demands.values():
        demand.notes = [each for each in demand.notes if each.moment not in moments]
        demand.tasks = [each for each in demand.tasks if each.moment not in moments]
    return defaultdict(Demand, all_demands)


def _proof(tenant: Tenant, demand: Demand, ledger: Mapping[str, Any], days: tuple[date, date]) -> list[str]:
    reading = READINGS[tenant.crm]
    proof = Proof(reading.kinds)
    compare(proof, reading, demand, ledger, days)
    return proof.details


def disorder(tenant: Tenant, voided: set[str]) -> list[str]:
    """Where the history of a contact goes back to a state of before, or shows one that was rolled back."""
    newest: dict[str, int] = defaultdict(int)
    found = []
    for effect in tenant.crm_side.emulator.effects(tenant.account.number):
        values = effect.get("properties") or effect.get("fields") or effect.get("values") or {}
        for value in values.values():
            for number, version in VERSION.findall(str(value)):
                if f"{number}v{version}" in voided:
                    found.append(f"contacts phantom: {number}v{version} was rolled back, and written")
                if int(version) < newest[number]:
                    found.append(f"contacts out of order: {number}v{version} after {number}v{newest[number]}")
                newest[number] = max(newest[number], int(version))
    return found
