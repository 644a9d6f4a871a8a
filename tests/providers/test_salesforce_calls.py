"""What a backlog costs of Salesforce's day, what is said of that day, and what calls leave behind in URLs and logs."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import httpx
import pytest

from providers.models import ActivityDocument, Company, DealDocument, Field
from providers.report import Report
from providers.salesforce import Client
from tests.providers.contract import OCCURRED, Budget, Tokens, batch_of, push
from tests.providers.samples_salesforce import KEY, Person, SalesforceAccount, SalesforceSample
from tests.providers.test_salesforce import contact

PEOPLE = 2_000
COMPANIES = 400
MOST = 1_000
CALLS_FOR_EACH = 0.04
LONGEST_HEAD = 16_384
LONGEST_TOKEN = 1_800


async def test_a_backlog_of_two_thousand_replies_costs_few_calls(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    calls = 0
    companies: dict[str, str] = {}
    for start in range(0, PEOPLE, MOST):
        contacts = []
        for number in range(start + 1, start + MOST + 1):
            key = f"company:{number % COMPANIES:032x}"
            name = f"Company {number % COMPANIES}"
            known = Company(key=key, name=name, external_id=companies.get(key), fields={"Name": name})
            email = f"first.last{number}@example.com"
            fields = salesforce.contact_fields(email, "First", f"Last {number}")
            contacts.append(contact(number, email, fields=fields, company=known))
        first = await push(salesforce, org, *contacts)
        later: list[ActivityDocument | DealDocument] = []
        for number, person in enumerate(contacts, start + 1):
            outcome = first.of(person)
            assert person.company is not None
            companies[person.company.key] = outcome.company_external_id or ""
            common: dict[str, Any] = {
                "contact_id": person.contact_id,
                "contact_external_id": outcome.external_id,
                "company_external_id": outcome.company_external_id,
            }
            key = str(UUID(int=number))
            later.append(
                ActivityDocument(
                    rows=(10_000 + number,), key=key, occurred_at=OCCURRED, subject="Re", body=f"Yes {number}", **common
                )
            )
            if number % 4 == 0:
                fields = salesforce.deal_fields(f"Deal {number}")
                later.append(DealDocument(rows=(20_000 + number,), key=key, fields=fields, **common))
        second = await push(salesforce, org, *later)
        assert first.statuses == second.statuses == {"synced"}
        calls += first.calls + second.calls
    assert calls <= CALLS_FOR_EACH * PEOPLE
    ledger = org.ledger()
    kinds = ("contacts", "accounts", "opportunities", "opportunity_contact_roles", "tasks")
    assert [len(ledger[kind]) for kind in kinds] == [PEOPLE, COMPANIES, PEOPLE // 4, PEOPLE // 4, PEOPLE]


async def test_the_longest_addresses_and_a_long_token_fit_into_every_request(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    """In bytes: the target and all headers, which Salesforce takes together."""
    sizes: list[int] = []

    async def measure(request: httpx.Request) -> None:
        token = len(request.headers["authorization"]) - len("Bearer ")
        heads = sum(len(name) + len(value) + 4 for name, value in request.headers.raw)
        sizes.append(len(request.url.raw_path) + heads + LONGEST_TOKEN - token)

    domain = f"@{'.'.join(['dömäin' * 8] * 3)}.example"
    emails = [f"{number:03}{'ü' * (254 - 3 - len(domain))}{domain}" for number in range(300)]
    assert {len(email) for email in emails} == {254}
    fields = [{f"Custom_{number}__c": Field(value="x") for number in range(60)}, {}]
    for each in fields:
        for name in each:
            org.org.add_field("Contact", name)
    documents = [
        contact(number, email, fields={"Email": Field(value="plain@example.com"), **fields[number % 2]})
        for number, email in enumerate(emails)
    ]
    batch = batch_of(org, salesforce.name, documents)
    report = Report(batch)
    async with httpx.AsyncClient(event_hooks={"request": [measure]}) as http:
        await Client(org.config, Tokens(org, http), Budget(), http).push(batch, report)
    assert max(sizes) <= LONGEST_HEAD
    assert max(sizes) > LONGEST_HEAD * 0.8
    assert [outcome.status for outcome in report.outcomes] == ["synced"] * len(documents)


@pytest.mark.parametrize(
    ("header", "observed"),
    [
        ("api-usage=18/5000", [("core", 18, 5000)]),
        ("api-usage=18/5000; per-app-api-usage=17/250(appName=sample-app)", [("core", 18, 5000)]),
        ("per-app-api-usage=17/250(appName=sample-app), api-usage=18/5000", [("core", 18, 5000)]),
        ("api-usage=5200/5000", [("core", 5200, 5000)]),
        ("per-app-api-usage=17/250(appName=api-usage)", []),
        ("api-usage=18/0", []),
        ("api-usage=/", []),
        ("api-usage=-1/5000", []),
        ("api-usage=18/five", []),
        ("api-usage=" + "9" * 5_000 + "/5000", []),
        ("api-usage=18/" + "9" * 5_000, []),
        ("api-usage=١٨/5000", []),
        ("", []),
    ],
)
async def test_what_is_said_of_the_day_is_observed_if_it_can_be_read(
    org: SalesforceAccount, header: str, observed: list[tuple[str, int, int]]
) -> None:
    budget = Budget()
    async with httpx.AsyncClient() as http:
        client = Client(org.config, Tokens(org, http), budget, http)
        client.observe(httpx.Response(200, headers=[(b"Sforce-Limit-Info", header.encode())]))
    assert budget.observed == observed


async def test_addresses_in_urls_are_logged_by_nobody_at_the_daemons_level(
    salesforce: SalesforceSample, org: SalesforceAccount, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    Person(org).create("Contact", LastName="L", Email="ada@example.com")
    await push(salesforce, org, contact(1, "ada@example.com"), contact(2, "d'arcy@example.ie"))
    telling = [
        record
        for record in caplog.records
        # the emulator's own server is no part of the daemon
        if not record.name.startswith("uvicorn")
        and any(word in record.getMessage() for word in ("ada%40", "ada@", "arcy%40", "arcy@", "Lovelace"))
    ]
    # httpx and httpcore print URLs, whose queries have addresses; the daemon hears them at WARNING only
    assert {record.name.split(".")[0] for record in telling} <= {"httpx", "httpcore"}
    assert telling
    assert max(record.levelno for record in telling) < logging.WARNING


async def test_an_unknown_field_is_told_without_the_people_who_were_asked_for(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    words = f"\n('ada@example.com','eve@example.com') OR {KEY}\n^\nERROR at Row:1:Column:50\nNo such column 'Shoe__c'"
    org.disturb_path("/query", status=400, body={"category": "INVALID_FIELD", "message": words})
    pushed = await push(salesforce, org, contact(fields={"Shoe__c": Field(value="9")}))
    [outcome] = pushed.all
    assert outcome.failure is not None
    assert (outcome.failure.field, outcome.failure.message) == ("Shoe__c", "No such column 'Shoe__c'")
