"""The three CRMs as the tests of the whole way see them: accounts, what is in them, and people at work in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.app import Crm
from sandbox.hubspot import HubSpot
from sandbox.hubspot.schema import Property
from sandbox.pipedrive import Pipedrive
from sandbox.salesforce import Salesforce

SALESFORCE_TYPES = {"contact": "Contact", "company": "Account"}
PIPEDRIVE_KINDS = {"contact": "persons", "company": "organizations"}
HUBSPOT_TYPES = {"contact": "contacts", "company": "companies"}


@dataclass(frozen=True)
class Entry:
    """A deal, note or task: what is read of it, and the addresses of the contacts that it belongs to."""

    text: str
    contacts: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """Everything in an account; `employers` are contact's addresses with the names of their companies."""

    contacts: list[str]
    companies: list[str]
    employers: list[tuple[str, str]]
    deals: list[Entry]
    notes: list[Entry]
    tasks: list[Entry]


class Account(ABC):
    """A CRM's account that a connection leads to.

    Attributes:
        number: how the emulator calls it.
    """

    number: int

    def __init__(self, crm: Crm, url: str) -> None:
        self.crm = crm
        self.url = url

    @property
    def calls(self) -> dict[str, Any]:
        """`total`, `by_path` and `by_status`."""
        calls: dict[str, Any] = self.crm.ledger(self.number)["calls"]
        return calls

    @property
    def ledger(self) -> dict[str, Any]:
        return self.crm.ledger(self.number)

    def effects(self) -> int:
        """How much ever happened in it."""
        return len(self.crm.effects(self.number))

    @abstractmethod
    def credentials(self, *, oauth: bool) -> dict[str, Any]:
        """Of its OAuth grant, or of a token that never expires where the CRM has such."""

    @abstractmethod
    def found(self) -> Found: ...

    @abstractmethod
    def values(self, kind: str, id_: str) -> dict[str, Any]:
        """What a `contact` or `company` holds, by the CRM's names."""

    @abstractmethod
    def ids(self, kind: str) -> list[str]:
        """Of all contacts or companies, the oldest first."""

    @abstractmethod
    def change(self, kind: str, id_: str, **values: Any) -> None:
        """A person changes a contact or a company."""

    @abstractmethod
    def delete(self, kind: str, id_: str) -> None:
        """A person deletes a contact or a company."""

    @abstractmethod
    def offer(self, label: str, *options: str) -> str:
        """A person defines a field of contacts with a choice of values, or changes its choice; the field's name."""

    @abstractmethod
    def chosen(self, id_: str, name: str) -> str | None:
        """The value of a contact's field with a choice, as people see it."""


class HubSpotAccount(Account):
    def __init__(self, crm: HubSpot, url: str, **options: Any) -> None:
        super().__init__(crm, url)
        self.hubspot = crm
        self.portal = crm.open_portal(**options)
        self.number = self.portal.hub_id

    def credentials(self, *, oauth: bool) -> dict[str, Any]:
        if not oauth:
            return {"access_token": self.portal.static_token}
        return {"access_token": self.portal.access_token, "refresh_token": self.portal.refresh_token}

    def found(self) -> Found:
        ledger = self.ledger
        held = {kind: {each["id"]: each["properties"] for each in ledger[kind]} for kind in self.portal.stores}
        emails = {id_: each["email"] for id_, each in held["contacts"].items()}
        names = {id_: each.get("name", "") for id_, each in held["companies"].items()}

        def entries(kind: str, *texts: str) -> list[Entry]:
            return [
                Entry(
                    "\n".join(each.get(text, "") for text in texts),
                    tuple(
                        emails.get(link["to_id"], link["to_id"])
                        for link in ledger["associations"]
                        if (link["from_type"], link["from_id"], link["to_type"]) == (kind, id_, "contacts")
                    ),
                )
                for id_, each in held[kind].items()
            ]

        return Found(
            contacts=list(emails.values()),
            companies=list(names.values()),
            employers=[
                (emails[id_], names[company])
                for id_, company in {
                    (link["from_id"], link["to_id"])
                    for link in ledger["associations"]
                    if (link["from_type"], link["to_type"]) == ("contacts", "companies")
                }
            ],
            deals=entries("deals", "dealname"),
            notes=entries("notes", "hs_note_body"),
            tasks=entries("tasks", "hs_task_subject", "hs_task_body"),
        )

    def values(self, kind: str, id_: str) -> dict[str, Any]:
        record = self.portal.stores[HUBSPOT_TYPES[kind]].get(id_)
        assert record is not None
        return dict(record.properties)

    def ids(self, kind: str) -> list[str]:
        return [record.id for record in self.portal.stores[HUBSPOT_TYPES[kind]]]

    def change(self, kind: str, id_: str, **values: Any) -> None:
        with self.hubspot.lock:
            store = self.portal.stores[HUBSPOT_TYPES[kind]]
            record = store.get(id_)
            assert record is not None
            store.write(record, values)
            record.updated = self.portal.clock()
            record.remember(record.updated, self.portal.lag)

    def delete(self, kind: str, id_: str) -> None:
        with self.hubspot.lock:
            store = self.portal.stores[HUBSPOT_TYPES[kind]]
            record = store.get(id_)
            assert record is not None
            self.portal.archive(store, record, self.portal.clock())

    def offer(self, label: str, *options: str) -> str:
        pairs = tuple((option, option) for option in options)
        choice = Property(label.lower(), label, "enumeration", "select", "contactinformation", pairs)
        self.portal.stores["contacts"].definitions[choice.name] = replace(choice, hubspot_defined=False)
        return choice.name

    def chosen(self, id_: str, name: str) -> str | None:
        return self.values("contact", id_).get(name)


class SalesforceAccount(Account):
    def __init__(self, crm: Salesforce, url: str, **options: Any) -> None:
        super().__init__(crm, url)
        self.org = crm.open_org(**options)
        self.number = self.org.number

    def credentials(self, *, oauth: bool) -> dict[str, Any]:
        refresh = {"refresh_token": self.org.refresh_token} if oauth else {}
        return {"access_token": self.org.access_token, "instance_url": self.url, **refresh}

    def found(self) -> Found:
        ledger = self.ledger
        held: dict[str, dict[str, Mapping[str, Any]]] = {
            kind: {each["id"]: each["fields"] for each in ledger[kind]}
            for kind in ("accounts", "contacts", "leads", "opportunities", "tasks")
        }
        emails = {
            id_: str(each.get("Email") or "").lower()
            for kind in ("contacts", "leads")
            for id_, each in held[kind].items()
        }
        names = {id_: str(each["Name"]) for id_, each in held["accounts"].items()}
        roles = [each["fields"] for each in ledger["opportunity_contact_roles"]]

        def tasks(*, done: bool) -> list[Entry]:
            return [
                Entry(
                    f"{each.get('Subject') or ''}\n{each.get('Description') or ''}",
                    (emails.get(each.get("WhoId") or "", "nobody"),),
                )
                for each in held["tasks"].values()
                if (each["Status"] == "Completed") is done
            ]

        return Found(
            contacts=list(emails.values()),
            companies=list(names.values()),
            employers=[
                (emails[id_], names[each["AccountId"]])
                for id_, each in held["contacts"].items()
                if each.get("AccountId")
            ],
            deals=[
                Entry(
                    str(each["Name"]),
                    tuple(emails.get(role["ContactId"], "nobody") for role in roles if role["OpportunityId"] == id_),
                )
                for id_, each in held["opportunities"].items()
            ],
            notes=tasks(done=True),
            tasks=tasks(done=False),
        )

    def values(self, kind: str, id_: str) -> dict[str, Any]:
        return self.org.read(SALESFORCE_TYPES[kind], id_)

    def ids(self, kind: str) -> list[str]:
        return [each["id"] for each in self.ledger[f"{SALESFORCE_TYPES[kind].lower()}s"]]

    def change(self, kind: str, id_: str, **values: Any) -> None:
        self.org.update(SALESFORCE_TYPES[kind], id_, **values)

    def delete(self, kind: str, id_: str) -> None:
        self.org.delete(SALESFORCE_TYPES[kind], id_)

    def offer(self, label: str, *options: str) -> str:
        name = f"{label}__c"
        if name in self.org.objects["Contact"].fields:
            self.org.restrict_picklist("Contact", name, options)
        else:
            self.org.add_field("Contact", name, label=label, type="picklist", options=options, restricted=True)
        return name

    def chosen(self, id_: str, name: str) -> str | None:
        value = self.values("contact", id_).get(name)
        return None if value is None else str(value)


class PipedriveAccount(Account):
    def __init__(self, crm: Pipedrive, url: str, **options: Any) -> None:
        super().__init__(crm, url)
        self.company = crm.open_company(**options)
        self.number = self.company.number

    def credentials(self, *, oauth: bool) -> dict[str, Any]:
        if not oauth:
            return {"access_token": self.company.api_token, "api_domain": self.url}
        pair = {"access_token": self.company.access_token, "refresh_token": self.company.refresh_token}
        return {**pair, "api_domain": self.url}

    def found(self) -> Found:
        ledger = self.ledger
        emails = {each["id"]: each["emails"][0]["value"].lower() for each in ledger["persons"]}
        names = {each["id"]: each["name"] for each in ledger["organizations"]}
        return Found(
            contacts=list(emails.values()),
            companies=list(names.values()),
            employers=[
                (emails[each["id"]], names[each["org_id"]]) for each in ledger["persons"] if each.get("org_id") in names
            ],
            deals=[Entry(each["title"], (emails.get(each.get("person_id"), "nobody"),)) for each in ledger["deals"]],
            notes=[Entry(each["content"], (emails.get(each.get("person_id"), "nobody"),)) for each in ledger["notes"]],
            tasks=[
                Entry(
                    f"{each['subject']}\n{each['note']}",
                    tuple(emails.get(other["person_id"], "nobody") for other in each["participants"]),
                )
                for each in ledger["activities"]
            ],
        )

    def values(self, kind: str, id_: str) -> dict[str, Any]:
        return self.company.read(PIPEDRIVE_KINDS[kind], int(id_))

    def ids(self, kind: str) -> list[str]:
        return [str(each["id"]) for each in self.ledger[PIPEDRIVE_KINDS[kind]]]

    def change(self, kind: str, id_: str, **values: Any) -> None:
        self.company.update(PIPEDRIVE_KINDS[kind], int(id_), **values)

    def delete(self, kind: str, id_: str) -> None:
        self.company.delete(PIPEDRIVE_KINDS[kind], int(id_))

    def offer(self, label: str, *options: str) -> str:
        for each in self.company.fields["persons"].customs():
            if each.name == label:
                self.company.set_options("persons", each.code, options)
                return each.code
        return self.company.add_field("persons", label, "enum", options)

    def chosen(self, id_: str, name: str) -> str | None:
        held = self.values("contact", id_)["custom_fields"].get(name)
        labels = {each.id: each.label for each in self.company.fields["persons"].get(name).options}
        return None if held is None else labels[held]


@dataclass(frozen=True)
class Stage:
    """The call that commits a kind of record; by it a test says where on its way a push is struck."""

    path: str
    method: str = "POST"


@dataclass(frozen=True)
class Kit:
    """How one CRM is set up for a test.

    Attributes:
        make: the emulator, without limits, with an index that lags behind by so many seconds.
        token_path: below the CRM's address.
        auth_path: of the consent page; what chooses an account there is `choice`.
        stages: by what is committed: companies, contacts, deals, notes and tasks.
        phone: what sets a contact's phone number in `Account.change`.
        limits: our own budgets, where the CRM's would only slow a test down.
    """

    account: Callable[..., Account]
    make: Callable[[float], Crm]
    token_path: str
    stages: Mapping[str, Stage]
    phone: Callable[[str], dict[str, Any]]
    limits: Mapping[str, Any] = field(default_factory=dict)
    auth_path: str = "/oauth/authorize"
    revoke_path: str = "/oauth/revoke"
    choice: str = "company"

    def config(self, url: str) -> dict[str, Any]:
        """What the provider's config says of an emulator at this address."""
        limits = {"limits": dict(self.limits)} if self.limits else {}
        own = {"auth_url": url + self.auth_path, "revoke_url": url + self.revoke_path}
        return {"api_base_url": url, "token_url": url + self.token_path, "timeout_seconds": 20, **own, **limits}


COLLECTION = "/composite/sobjects/{}/CRM_Sync_Key__c$"

KITS: Mapping[str, Kit] = {
    "hubspot": Kit(
        HubSpotAccount,
        lambda lag: HubSpot(limits=False, search_lag=lag),
        "/oauth/2026-03/token",
        {
            "companies": Stage("/companies/batch/upsert$"),
            "contacts": Stage("/contacts/batch/upsert$"),
            "deals": Stage("/deals/batch/upsert$"),
            "notes": Stage("/notes/batch/create$"),
            "tasks": Stage("/tasks/batch/create$"),
        },
        lambda number: {"phone": number},
        revoke_path="/oauth/2026-03/token/revoke",
        choice="hub_id",
    ),
    "salesforce": Kit(
        SalesforceAccount,
        lambda lag: Salesforce(limits=False),
        "/services/oauth2/token",
        {
            "companies": Stage(COLLECTION.format("Account"), "PATCH"),
            "contacts": Stage(COLLECTION.format("Contact"), "PATCH"),
            "deals": Stage(COLLECTION.format("Opportunity"), "PATCH"),
            "roles": Stage("/composite/sobjects$"),
            # messages and to-dos are one kind of record
            "notes": Stage(COLLECTION.format("Task"), "PATCH"),
            "tasks": Stage(COLLECTION.format("Task"), "PATCH"),
        },
        lambda number: {"Phone": number},
        auth_path="/services/oauth2/authorize",
        revoke_path="/services/oauth2/revoke",
        choice="org",
    ),
    "pipedrive": Kit(
        PipedriveAccount,
        lambda lag: Pipedrive(limits=False, search_lag=lag),
        "/oauth/token",
        {
            "companies": Stage("/api/v2/organizations$"),
            "contacts": Stage("/api/v2/persons$"),
            "deals": Stage("/api/v2/deals$"),
            "notes": Stage("/api/v1/notes$"),
            "tasks": Stage("/api/v2/activities$"),
        },
        lambda number: {"phones": [{"value": number, "primary": True, "label": "work"}]},
        {name: {"calls": 10_000, "seconds": 2} for name in ("core", "static", "search")},
    ),
}
