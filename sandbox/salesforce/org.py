"""One Salesforce org: its rules, its limits, and what people and admins do in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from sandbox.front import Calls
from sandbox.limits import Window
from sandbox.salesforce import writes
from sandbox.salesforce.conversion import convert
from sandbox.salesforce.database import Database
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.ids import canonical, new_id
from sandbox.salesforce.merging import merge
from sandbox.salesforce.records import Record
from sandbox.salesforce.schema import Field, Option, options
from sandbox.salesforce.standard import KEYED, computed, key_field
from sandbox.salesforce.standing import Standing

if TYPE_CHECKING:
    from sandbox.salesforce.grants import Grants

EDITIONS = {"developer": 15_000, "enterprise": 101_000, "professional": 101_000, "unlimited": 105_000}
"""API calls of any 24 hours, with one licence."""

DAY = 86_400.0
LEDGER = {
    "accounts": "Account",
    "contacts": "Contact",
    "leads": "Lead",
    "opportunities": "Opportunity",
    "opportunity_contact_roles": "OpportunityContactRole",
    "tasks": "Task",
}


class Org(Database):
    """An org that approved the app.

    Attributes:
        access_token, refresh_token: those of its first approval.
        rotate: a refresh gives a new refresh token and ends the old one.
        rules: duplicate rules by object: `block` or `alert`.
        validations: validation rules by object: what says whether a record's values are refused, and the message.
        international_addresses: whether e-mail addresses may have letters beyond ASCII before the @ (a setting that
            an admin has to switch on in older orgs).
        locks: by object, how many of the next rows find their record locked by somebody else.
        automation: by object, how many records of one call the org's own triggers can take.
        standing: what holds for the whole org, or for the user who connected it.
    """

    def __init__(
        self,
        number: int,
        name: str,
        *,
        clock: Callable[[], float],
        lock: threading.RLock,
        rotate: bool,
        edition: str,
        daily_limit: int | None,
    ) -> None:
        super().__init__(number, clock)
        self.lock = lock
        self.name = name
        self.rotate = rotate
        self.edition = edition
        self.created = clock()
        self.access_token = ""
        self.refresh_token = ""
        self.rules: dict[str, str] = {}
        self.validations: dict[str, list[tuple[Callable[[dict[str, Any]], bool], str]]] = {}
        self.international_addresses = True
        self.locks: dict[str, int] = {}
        self.automation: dict[str, int] = {}
        self.standing = Standing()
        self.calls = Calls()
        self.window = Window(daily_limit or EDITIONS[edition], DAY)
        self.refusals: list[ApiError] = []
        """What the next rows of collections are refused with, one after the other."""
        self._grants: Grants | None = None
        self.id = new_id("00D", number, 1)
        self.user_id = self.add_user("Integration User", f"integration@org-{number}.test")
        self._enter_organization()

    def bind(self, grants: Grants) -> None:
        """Where this org's tokens live."""
        self._grants = grants

    def expire_tokens(self) -> None:
        """Let every session expire now; refresh tokens stay good."""
        if self._grants is not None:
            self._grants.expire(self)

    def revoke(self) -> None:
        """The customer revokes the app: no token is good any more."""
        if self._grants is not None:
            self._grants.revoke(self)

    def deploy_fields(self, *, task_key: bool = True) -> None:
        """An admin deploys our external id fields: on Account, Contact, Lead and Opportunity, and on Task."""
        for sobject in (*KEYED, *(("Task",) if task_key else ())):
            self.objects[sobject].put(key_field(sobject))

    def add_field(self, sobject: str, name: str, **describe: Any) -> None:
        """An admin adds a custom field; `describe` names attributes of `schema.Field`, `options` may be texts."""
        if "options" in describe:
            describe["options"] = tuple(
                each if isinstance(each, Option) else Option(each) for each in describe["options"]
            )
        if describe.get("type", "string") in ("string", "picklist"):
            describe.setdefault("length", 255)
        self.objects[sobject].put(Field(name, **describe))

    def remove_field(self, sobject: str, name: str) -> None:
        """An admin deletes a field, or takes the app's right to see it: for the API it does not exist."""
        definition = self.objects[sobject]
        del definition.fields[name]
        definition.__post_init__()

    def restrict_picklist(self, sobject: str, field: str, values: Collection[str]) -> None:
        """An admin lets a picklist have these values and no others."""
        held = self.objects[sobject].fields[field]
        default = held.default if held.default in values else None
        self.objects[sobject].change(
            field, options=options(values, default), restricted=True, default=default, nillable=held.nillable
        )

    def duplicate_rule(self, sobject: str, action: str = "block") -> None:
        """An admin switches a rule on: people with an address that exists, accounts with a name that exists."""
        if action not in ("block", "alert"):
            raise ValueError(f"a duplicate rule blocks or alerts, not {action}")
        self.rules[sobject] = action

    def validation_rule(self, sobject: str, refuses: Callable[[dict[str, Any]], bool], message: str) -> None:
        """An admin refuses records for whose values (after the write) `refuses` is true."""
        self.validations.setdefault(sobject, []).append((refuses, message))

    def lock_rows(self, sobject: str, times: int = 1) -> None:
        """Somebody holds the lock that the next `times` rows written to an object need."""
        self.locks[sobject] = self.locks.get(sobject, 0) + times

    def create(self, sobject: str, **fields: Any) -> str:
        """A person creates a record, rules notwithstanding; the id."""
        with self.lock:
            record = writes.insert(writes.Writer(self, by="user"), sobject, fields)
            self.commit()
            return record.id

    def update(self, sobject: str, record_id: str, **fields: Any) -> None:
        """A person changes a record; None clears a field."""
        with self.lock:
            writes.update(writes.Writer(self, by="user"), sobject, record_id, fields)
            self.commit()

    def delete(self, sobject: str, record_id: str) -> None:
        """A person deletes a record, and with it what Salesforce deletes along."""
        with self.lock:
            writes.delete(writes.Writer(self, by="user"), record_id, sobject)
            self.commit()

    def read(self, sobject: str, record_id: str) -> dict[str, Any]:
        """All set fields of a record; raises KeyError for one that is not there."""
        with self.lock:
            record = self.tables[sobject].get(canonical(record_id) or record_id)
            if record is None or record.is_deleted:
                raise KeyError(record_id)
            return self.document(record)

    def convert_lead(self, record_id: str, *, account_id: str | None = None, opportunity: str | None = None) -> str:
        """A person converts a lead; the id of the contact it became. `opportunity` names one to be opened."""
        with self.lock:
            contact_id = convert(self, canonical(record_id) or record_id, account_id, opportunity)
            self.commit()
            return contact_id

    def merge(self, sobject: str, kept_id: str, lost_id: str) -> None:
        """A person merges an account, a contact or a lead into another."""
        with self.lock:
            merge(self, sobject, kept_id, lost_id)
            self.commit()

    def limit_automation(self, sobject: str, records: int) -> None:
        """An admin builds a trigger that breaks when one call writes more records of an object than this."""
        self.automation[sobject] = records

    def enable_person_accounts(self) -> None:
        """An admin lets accounts be persons; Salesforce does not let their contacts be written as contacts."""
        self.objects["Contact"].put(computed("IsPersonAccount", "boolean", "Is Person Account", nillable=False))

    def create_person(self, **fields: Any) -> str:
        """A person creates a person account; the id of its contact. `fields` are those of a contact."""
        with self.lock:
            account = self.create("Account", Name=" ".join(filter(None, map(fields.get, ("FirstName", "LastName")))))
            contact_id = self.create("Contact", **fields, AccountId=account)
            table = self.tables["Contact"]
            record = table.get(contact_id)
            assert record is not None
            table.set(record, {"IsPersonAccount": True})
            return contact_id

    def ledger(self) -> dict[str, Any]:
        """What the org contains now: live records by kind with all that is set, and the calls."""
        kinds: dict[str, Any] = {
            kind: [{"id": record.id, "fields": self.document(record)} for record in self.tables[sobject].live()]
            for kind, sobject in LEDGER.items()
        }
        return {**kinds, "calls": self.calls.document()}

    def _enter_organization(self) -> None:
        record = Record(self.id, "Organization")
        record.values = {
            "Name": self.name,
            "OrganizationType": f"{self.edition.title()} Edition",
            "InstanceName": "NA1",
            "IsSandbox": False,
            **self.stamps(self.user_id),
        }
        self.tables["Organization"].add(record)

    def add_user(self, name: str, email: str, *, is_active: bool = True) -> str:
        """A further user, perhaps one who was deactivated since; the id."""
        users = sum(1 for _ in self.tables["User"])
        user = Record(new_id("005", self.number, users + 1), "User")
        user.values = {
            "Username": email,
            "Name": name,
            "Email": email,
            "IsActive": is_active,
            **self.stamps(user.id),
        }
        self.tables["User"].add(user)
        return user.id
