"""People whom pages tell about, and what a page says of what was done."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from tests.house import House
from tests.sql.daemon import Daemon, documents, failed, synced


class Scene:
    """Acme with a connection, a contact that is synced and one that failed."""

    def __init__(self, house: House, organization: UUID) -> None:
        self.house = house
        self.integration = house.integration(organization)
        self.grace = house.contact(organization, "grace@example.com", first_name="Grace", company="Navy")
        self.ada = house.contact(organization, "lovelace@example.com", first_name="Ada", last_name="Lovelace")
        for contact in (self.grace, self.ada):
            house.reply(organization, contact, "x")
        daemon = Daemon(house)
        batch = daemon.claim(integration=self.integration)
        by_contact = {UUID(document["contact_id"]): document for document in documents(batch)}
        self.fields = {"email": "grace@example.com", "firstname": "Grace", "hs_lead_status": "OPEN"}
        daemon.finish(
            batch,
            [
                synced(by_contact[self.grace], "4711", echo={"fields": self.fields}),
                failed(
                    by_contact[self.ada],
                    "rejected",
                    "lovelace@example.com is no option",
                    code="INVALID_OPTION",
                    field="tier",
                ),
            ],
        )
        daemon.work()

    def entry(self, status: str) -> int:
        number: int = self.house.value(
            "select id from public.sync_activity_logs where status = %s order by id limit 1", status
        )
        return number


def notice(headers: Any) -> tuple[str, str]:
    told = json.loads(headers["hx-trigger"])["notice"]
    return told["kind"], told["words"]
