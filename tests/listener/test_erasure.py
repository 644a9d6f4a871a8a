"""A person who went through all there is into each CRM, and is erased: here, and there if that was asked."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from uuid import UUID

from psycopg import sql

from tests.house import House
from tests.listener.daemons import daemon
from tests.listener.shop import Shop, Tenant
from tests.sql.test_erase import OURS

EMAIL, FIRST, LAST, PHONE = "quetzal@canary.example", "Quetzalia", "Canarius", "+49 30 5557788"
CANARIES = ("quetzal", LAST.lower(), PHONE, "canary.example")


def canary(shop: Shop, tenant: Tenant) -> UUID:
    contact = shop.house.contact(
        tenant.organization, EMAIL, first_name=FIRST, last_name=LAST, phone=PHONE, company="Nest"
    )
    message = shop.house.message(tenant.organization, contact, body="the message of the quetzal")
    shop.house.classify(message, "interested", attention=True)
    return contact


def held(tenant: Tenant) -> str:
    """All that the account holds, but for how it was called."""
    return json.dumps(
        {kind: rows for kind, rows in tenant.account.ledger.items() if kind != "calls"}, default=str
    ).lower()


def dump(house: House, database: str) -> str:
    """All rows of all tables of ours, as pg_dump writes them: by itself where there is one for this server."""
    program = shutil.which("pg_dump")
    version = subprocess.check_output([program, "--version"], text=True) if program is not None else ""
    server = int(house.value("show server_version_num")) // 10_000
    if (found := re.search(r"(\d+)", version)) and int(found[1]) >= server:
        tables = ("crm_sync.*", "public.sync_*", "public.contact_sync_mappings", "public.*integration*")
        given = [str(program), "--data-only", *(f"--table={each}" for each in tables), database]
        return subprocess.run(given, check=True, capture_output=True, text=True, timeout=60).stdout.lower()
    text = ""
    for schema, table in house.rows(OURS):
        with house.connection.cursor().copy(sql.SQL("copy {} to stdout").format(sql.Identifier(schema, table))) as rows:
            text += f"copy {schema}.{table}\n" + b"".join(rows).decode()
    return text.lower()


def test_of_a_person_who_was_erased_nothing_is_left_here_and_there_what_was_asked(
    each_shop: Shop, database: str, house: House
) -> None:
    shop = each_shop
    asked, alone, untouched = tenants = [shop.tenant() for _ in range(3)]
    with daemon(database):
        people = [canary(shop, tenant) for tenant in tenants]
        shop.wait_until_settled()
        assert shop.statuses() == {"completed": 12}
        assert all(each in held(tenant) for tenant in tenants for each in CANARIES)
        before = held(untouched)
        for person, in_crm in zip(people[:2], (True, False), strict=True):
            house.rows("select * from crm_sync.erase_contact(%s, %s)", person, in_crm)
        shop.wait_until_settled()
        assert (shop.statuses(asked), shop.statuses(alone)) == ({"completed": 1}, {})
        assert [each for each in CANARIES if each in held(asked)] == []
        assert all(each in held(alone) for each in CANARIES)
        # what comes later is not sent
        shop.reply(asked, people[0], "interested")
        shop.wait_until_settled()
        assert shop.statuses(asked)["skipped"] == 1
        assert [each for each in CANARIES if each in held(asked)] == []
        assert held(untouched) == before
    assert sorted(house.rows("select state from crm_sync.erasure_progress")) == [
        ("deleted in the CRM",),
        ("erased here; no CRM was asked",),
    ]
    assert house.rows("select * from crm_sync.accounting where difference <> 0") == []
    # when the other organization's goes as well, there is not a byte in the whole of what is ours
    assert all(each in dump(house, database) for each in CANARIES[:2])
    house.rows("select * from crm_sync.erase_contact(%s)", people[2])
    text = dump(house, database)
    assert [each for each in CANARIES if each in text] == []
    assert "copy crm_sync.erasures" in text
