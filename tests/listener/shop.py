"""A database and a HubSpot that are connected, and facts about both."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sandbox.hubspot import HubSpot
from sandbox.hubspot.portal import Portal
from tests.house import House, eventually


@dataclass(frozen=True)
class Tenant:
    """An organization whose connection leads to a portal of its own."""

    organization: UUID
    integration: int
    portal: Portal


class Shop:
    """Tenants, replies, and what became of them."""

    def __init__(self, house: House, hubspot: HubSpot, url: str) -> None:
        self.house = house
        self.hubspot = hubspot
        self.url = url
        self._numbers = itertools.count(1)
        self.configure("hubspot", api_base_url=url, token_url=f"{url}/oauth/2026-03/token", timeout_seconds=5)

    def configure(self, provider: str, **config: Any) -> None:
        """Change the provider's config."""
        self.house.connection.execute(
            "update public.integration_providers set config = config || %s where name = %s",
            [json.dumps(config), provider],
        )

    def tenant(self, *, oauth: bool = False, expires_at: float | None = None, **columns: Any) -> Tenant:
        """A new organization with a portal, connected by a key that never expires, or by OAuth."""
        portal = self.hubspot.open_portal()
        credentials: dict[str, Any] = {"access_token": portal.static_token}
        if oauth:
            credentials = {"access_token": portal.access_token, "refresh_token": portal.refresh_token}
            if expires_at is not None:
                credentials["expires_at"] = expires_at
        organization = self.house.organization(f"Tenant {portal.hub_id}")
        return Tenant(organization, self.house.integration(organization, credentials=credentials, **columns), portal)

    def person(self, tenant: Tenant, **columns: str | None) -> UUID:
        number = next(self._numbers)
        values = {"first_name": f"First{number}", "last_name": f"Last{number}", "company": "Acme Ltd", **columns}
        return self.house.contact(tenant.organization, values.pop("email", f"p{number}@example.com"), **values)

    def reply(self, tenant: Tenant, contact: UUID | None = None, intent: str = "question") -> UUID:
        """A message with a body of its own, classified; returns the message."""
        message = self.house.message(
            tenant.organization, contact or self.person(tenant), body=f"body number {next(self._numbers)}."
        )
        self.house.classify(message, intent)
        return message

    def replies(self, tenant: Tenant, count: int, intent: str = "question") -> None:
        """Many contacts with a message each, in one transaction."""
        first = next(itertools.islice(self._numbers, count, None)) - count
        self.house.connection.execute(
            """
            with people as (
              insert into public.contacts (organization_id, email, first_name, last_name, company)
              select %(organization)s, 'p' || n || '@example.com', 'First' || n, 'Last' || n, 'Company ' || n %% 20
              from generate_series(%(first)s::integer, %(last)s::integer) as n
              returning id, email
            ),
            messages as (
              insert into public.inbox_messages (organization_id, contact_id, subject, body)
              select %(organization)s, p.id, 'Re: hello', 'body of ' || p.email || '.' from people as p
              returning id
            )
            select pg_catalog.array_agg(m.id) from messages as m
            """,
            {"organization": tenant.organization, "first": first, "last": first + count - 1},
        )
        self.house.connection.execute(
            "insert into public.message_classifications (message_id, intent) "
            "select m.id, %s from public.inbox_messages as m where m.organization_id = %s "
            "and not exists (select from public.message_classifications as c where c.message_id = m.id)",
            [intent, tenant.organization],
        )

    def statuses(self, tenant: Tenant | None = None) -> Counter[str]:
        """How many rows have which status."""
        return Counter(
            status
            for (status,) in self.house.rows(
                "select status from public.sync_queue where %s::bigint is null or integration_id = %s",
                *[tenant.integration if tenant else None] * 2,
            )
        )

    def wait_until_settled(self, *tenants: Tenant, seconds: float = 30.0) -> None:
        """Until no row of these tenants (of anybody) is open."""

        def has_ended(tenant: Tenant | None) -> bool:
            return not {"pending", "processing", "retry"} & set(self.statuses(tenant))

        eventually(lambda: all(map(has_ended, tenants or (None,))), "the end of all work", seconds)

    def hurry(self) -> None:
        """Move what waits for a later time to now, and ring."""
        self.house.connection.execute(
            "update crm_sync.lanes set parked_until = null where parked_until < 'infinity'; "
            "update public.sync_queue set next_attempt_at = null where status in ('pending', 'retry'); "
            "notify crm_sync"
        )

    def hurry_until_settled(self, *tenants: Tenant) -> None:
        """As `wait_until_settled`, without the pauses that failures cost."""

        def has_ended() -> bool:
            self.hurry()
            return not any({"pending", "processing", "retry"} & set(self.statuses(tenant)) for tenant in tenants)

        eventually(has_ended, "the end of all work")

    def ledger(self, tenant: Tenant) -> dict[str, Any]:
        return self.hubspot.ledger(tenant.portal.hub_id)

    def assert_exact(self, tenant: Tenant) -> None:
        """The portal holds each contact, message and deal that the database demands once, and nothing else."""
        ledger, organization = self.ledger(tenant), tenant.organization
        emails = [
            email for (email,) in self.house.rows("select email from contacts where organization_id = %s", organization)
        ]
        assert sorted(each["properties"]["email"] for each in ledger["contacts"]) == sorted(emails)
        bodies = self.house.rows("select body from inbox_messages where organization_id = %s", organization)
        notes = [each["properties"]["hs_note_body"] for each in ledger["notes"]]
        assert {body: sum(body in note for note in notes) for (body,) in bodies} == dict.fromkeys(
            (body for (body,) in bodies), 1
        )
        assert len(notes) == len(bodies)
        deals = self.house.value(
            "select count(*) from crm_sync.effects where integration_id = %s and object_type = 'deal'",
            tenant.integration,
        )
        assert len(ledger["deals"]) == deals
        companies = self.house.value(
            "select count(distinct lower(company)) from contacts where organization_id = %s", organization
        )
        assert len(ledger["companies"]) == companies
        linked = Counter((each["from_type"], each["to_type"]) for each in ledger["associations"])
        assert linked["notes", "contacts"] == len(bodies)
        assert linked["deals", "contacts"] == deals
        self.assert_accounts()

    def assert_accounts(self) -> None:
        assert self.house.rows("select integration_id from crm_sync.accounting where difference <> 0") == []
