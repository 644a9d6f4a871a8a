"""A database and a CRM that are connected, and facts about both."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sandbox.app import Crm
from sandbox.faults import Fault
from sandbox.hubspot import HubSpot
from sandbox.hubspot.portal import Portal
from tests.house import House, eventually
from tests.listener.crms import KITS, Account, HubSpotAccount, Stage
from tests.listener.daemons import Process


@dataclass(frozen=True)
class Tenant:
    """An organization whose connection leads to an account of its own."""

    organization: UUID
    integration: int
    account: Account

    @property
    def portal(self) -> Portal:
        """The account, where it is HubSpot's."""
        assert isinstance(self.account, HubSpotAccount)
        return self.account.portal


class Shop:
    """Tenants, replies, and what became of them in one CRM."""

    def __init__(self, house: House, crm: Crm, url: str) -> None:
        self.house = house
        self.crm = crm
        self.kit = KITS[crm.name]
        self.url = url
        self._numbers = itertools.count(1)
        self._planned = 0
        self._dead: list[int] = []
        self.configure(crm.name, **self.kit.config(url))

    @property
    def hubspot(self) -> HubSpot:
        """The CRM, where it is HubSpot."""
        assert isinstance(self.crm, HubSpot)
        return self.crm

    def configure(self, provider: str, **config: Any) -> None:
        """Change the provider's config."""
        self.house.connection.execute(
            "update public.integration_providers set config = config || %s where name = %s",
            [json.dumps(config), provider],
        )

    def tenant(
        self,
        *,
        oauth: bool = False,
        expires_at: float | None = None,
        account: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> Tenant:
        """A new organization with an account (made with the emulator's options `account`), connected by a token that
        never expires, or by OAuth."""
        opened = self.kit.account(self.crm, self.url, **(account or {}))
        credentials = opened.credentials(oauth=oauth)
        if expires_at is not None:
            credentials["expires_at"] = expires_at
        organization = self.house.organization(f"Tenant {opened.number}")
        integration = self.house.integration(organization, self.crm.name, credentials=credentials, **columns)
        return Tenant(organization, integration, opened)

    def connect(self, tenant: Tenant, *, oauth: bool = False) -> None:
        """A user connects the same account again."""
        self.house.connection.execute(
            "update public.user_integrations set credentials = %s, status = 'connected' where id = %s",
            [json.dumps(tenant.account.credentials(oauth=oauth)), tenant.integration],
        )

    def disturb(self, stage: str, *, times: int = 1, **harm: Any) -> None:
        """Have calls struck that commit a kind of record; see `Kit.stages`."""
        where: Stage = self.kit.stages[stage]
        for _ in range(times):
            self.crm.faults.add(Fault(path=where.path, method=where.method, **harm))
        self._planned = len(self.crm.faults)

    @property
    def is_struck(self) -> bool:
        """Whether one of the calls that were to be disturbed was made."""
        return len(self.crm.faults) < self._planned

    def person(self, tenant: Tenant, **columns: str | None) -> UUID:
        number = next(self._numbers)
        values = {"first_name": f"First{number}", "last_name": f"Last{number}", "company": "Acme Ltd", **columns}
        return self.house.contact(tenant.organization, values.pop("email", f"p{number}@example.com"), **values)

    def reply(
        self, tenant: Tenant, contact: UUID | None = None, intent: str = "question", *, attention: bool = False
    ) -> UUID:
        """A message with a body of its own, classified; returns the message."""
        message = self.house.message(
            tenant.organization, contact or self.person(tenant), body=f"body number {next(self._numbers)}."
        )
        self.house.classify(message, intent, attention=attention)
        return message

    def replies(
        self, tenant: Tenant, count: int, intent: str = "question", *, attention: bool = False, companies: int = 20
    ) -> None:
        """Many contacts of a few companies with a message each, in one transaction."""
        first = next(itertools.islice(self._numbers, count, None)) - count
        self.house.connection.execute(
            """
            with people as (
              insert into public.contacts (organization_id, email, first_name, last_name, company)
              select %(organization)s, 'p' || n || '@example.com', 'First' || n, 'Last' || n,
                'Company ' || n %% %(companies)s
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
            {"organization": tenant.organization, "first": first, "last": first + count - 1, "companies": companies},
        )
        self.house.connection.execute(
            "insert into public.message_classifications (message_id, intent, requires_human_attention) "
            "select m.id, %s, %s from public.inbox_messages as m where m.organization_id = %s "
            "and not exists (select from public.message_classifications as c where c.message_id = m.id)",
            [intent, attention, tenant.organization],
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

    def open_rows(self) -> int:
        """How many rows have not come to their end."""
        return sum(count for status, count in self.statuses().items() if status in ("pending", "processing", "retry"))

    def map_contact(self, tenant: Tenant, *rules: Mapping[str, Any]) -> None:
        """A user maps fields of contacts."""
        self.house.connection.execute(
            "update public.user_integrations set field_mappings = %s where id = %s",
            [json.dumps({"contact": list(rules)}), tenant.integration],
        )

    def has_died(self, daemon: Process) -> None:
        """A daemon was killed: from now on `hurry` lets the time pass after which others know of it.

        Not done once and for all: the server may still be at the last thing that the daemon told it.
        """
        self._dead.append(daemon.process.pid)

    def hurry(self) -> Literal[False]:
        """Move what waits for a later time to now, and ring."""
        self.house.connection.execute(
            "update crm_sync.lanes set parked_until = null where parked_until < 'infinity'; "
            "update public.sync_queue set next_attempt_at = null where status in ('pending', 'retry'); "
            "notify crm_sync"
        )
        self.house.connection.execute(
            "update crm_sync.batches set lease_until = now() - interval '1 s' "
            "where worker_id in (select id from crm_sync.daemons where pid = any (%s))",
            [self._dead],
        )
        return False

    def hurry_until_settled(self, *tenants: Tenant, seconds: float = 30.0) -> None:
        """As `wait_until_settled`, without the pauses that failures cost."""

        def has_ended() -> bool:
            self.hurry()
            return not any(
                {"pending", "processing", "retry"} & set(self.statuses(tenant)) for tenant in tenants or (None,)
            )

        eventually(has_ended, "the end of all work", seconds)

    def ledger(self, tenant: Tenant) -> dict[str, Any]:
        return tenant.account.ledger

    def assert_exact(self, tenant: Tenant) -> None:
        """The account holds each contact, company, message, deal and task that the database demands once, and nothing
        else, and all of them belong to each other."""
        found, organization = tenant.account.found(), tenant.organization
        people = self.house.rows("select lower(email), company from contacts where organization_id = %s", organization)
        assert sorted(found.contacts) == sorted(email for email, _ in people)
        employers = {email: company.casefold() for email, company in people if company}
        assert sorted(each.casefold() for each in found.companies) == sorted(set(employers.values()))
        assert {email: name.casefold() for email, name in found.employers} == employers
        assert len(found.employers) == len(employers)
        messages = self.house.rows(
            "select m.body, lower(k.email), exists (select from message_classifications as c "
            "where c.message_id = m.id and c.requires_human_attention) "
            "from inbox_messages as m join contacts as k on k.id = m.contact_id where m.organization_id = %s",
            organization,
        )
        for entries, bodies in (
            (found.notes, {body: email for body, email, _ in messages}),
            (found.tasks, {body: email for body, email, needs_person in messages if needs_person}),
        ):
            assert len(entries) == len(bodies)
            shown = [(body, each.contacts) for each in entries for body in bodies if body in each.text]
            assert sorted(shown) == sorted((body, (email,)) for body, email in bodies.items())
        deals = self.house.rows(
            "select distinct lower(k.email) from message_classifications as c "
            "join inbox_messages as m on m.id = c.message_id join contacts as k on k.id = m.contact_id "
            "join user_integrations as i on i.id = %s and (i.sync_settings -> 'auto_create_deals')::boolean "
            "where c.intent = 'interested' and m.organization_id = %s",
            tenant.integration,
            organization,
        )
        assert sorted(each.contacts for each in found.deals) == sorted(deals)
        self.assert_accounts()

    def assert_accounts(self) -> None:
        assert self.house.rows("select integration_id from crm_sync.accounting where difference <> 0") == []
