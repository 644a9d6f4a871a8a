"""The documents that travel between the database and a CRM.

`crm_sync.claim_batch` composes a `Batch` in SQL, with the CRM's own field names; a provider carries it and
answers one `Outcome` for each document, which `crm_sync.finish_batch` takes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple, get_type_hints
from uuid import UUID

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from providers.answers import moment_in
from providers.config import ProviderConfig
from providers.errors import FailureKind, ProviderError

CLOCK_SKEW = timedelta(minutes=10)
"""How far a CRM's clock and ours may differ."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer database may say more


class Policy(StrEnum):
    """When a value of ours may replace the one the CRM holds. Blank never replaces anything."""

    ALWAYS = "always"
    IF_BLANK = "if_blank"
    """Only where the CRM has none: what a person set there stays."""
    FORWARD_ONLY = "forward_only"
    """Only to a value of the same or a later rank in `Field.ranks`; a value of no rank is a person's."""


class Field(NamedTuple):
    """One value for one field of the CRM. Tens of thousands are under way at once, and pydantic's models are heavy.

    Attributes:
        value: as text, never blank.
        policy: when it may replace what the CRM holds.
        ranks: for `forward_only`, the CRM's values from the first rank to the last.
    """

    value: str
    policy: Policy = Policy.ALWAYS
    ranks: tuple[tuple[str, ...], ...] = ()

    def may_replace(self, held: str | None, *, is_ours: bool = False) -> bool:
        """Whether this value is to be written over the one the CRM holds now.

        `is_ours`: no person set that one; a push wrote it whose answer was lost.
        """
        if not held:
            return True
        if held == self.value:
            return False
        if self.policy is Policy.IF_BLANK:
            return is_ours
        if self.policy is Policy.ALWAYS:
            return True
        return self._rank(held) is not None and (self._rank(self.value) or 0) >= (self._rank(held) or 0)

    def _rank(self, value: str) -> int | None:
        return next((rank for rank, values in enumerate(self.ranks) if value in values), None)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        optional = cls._field_defaults
        given = core_schema.typed_dict_schema(
            {
                name: core_schema.typed_dict_field(handler.generate_schema(hint), required=name not in optional)
                for name, hint in get_type_hints(cls).items()
            }
        )
        made = core_schema.no_info_after_validator_function(lambda values: cls(**values), given)
        python = core_schema.union_schema([core_schema.is_instance_schema(cls), made])
        return core_schema.json_or_python_schema(made, python)


Fields = dict[str, Field]


class Company(Frozen):
    """The company of a contact.

    Attributes:
        key: ours, the same for spellings that differ in case or white space only; unique in the CRM.
        external_id: the CRM's id, once known.
        fields: what a company that is made new begins with, by the CRM's names, its name among them. A company that
            is there already keeps what it has.
    """

    key: str
    name: str
    external_id: str | None = None
    fields: dict[str, str] = {}


class Document(Frozen):
    """What all documents share.

    Attributes:
        rows: ids of the queue rows that this document settles, oldest first.
        contact_id: whom it is about.
        uncertain: an earlier attempt may have reached the CRM although no answer came back.
        queued_at: when the oldest of its rows was enqueued: nothing of it can have reached the CRM before.
        echo: what the database wants to hear again with the outcome; no business of a provider.
    """

    rows: tuple[int, ...]
    contact_id: UUID
    uncertain: bool = False
    queued_at: datetime | None = None
    echo: dict[str, Any] = {}


class ContactDocument(Document):
    """A contact, keyed by e-mail address, with its company.

    Attributes:
        record: what it is to be in the CRM where that has a choice; the names in `fields` are those of this one.
        email: trimmed and lower-cased; also in `fields`, under the CRM's name, with its policy.
        external_id: the CRM's id, once known.
        linked_company_id: the CRM's id of the company that this contact was last associated with by us.
        unchanged: field by field what was last sent successfully.
    """

    record: Literal["contact", "lead"] = "contact"
    email: str
    external_id: str | None = None
    linked_company_id: str | None = None
    unchanged: bool = False
    fields: Fields
    company: Company | None = None

    def has_made(self, owner: str | None, made_at: object) -> bool:
        """Whether a record was made by an attempt at this whose answer was lost: no person has set its values then.

        `owner` is what it holds as our key, `made_at` when it was made, as its CRM says that. A record that was there
        before may carry our key as well, from an attempt that added no more than what was missing.
        """
        if not self.uncertain or self.external_id is not None or self.queued_at is None:
            return False
        moment = moment_in(made_at)
        return owner == str(self.contact_id) and moment is not None and moment >= self.queued_at - CLOCK_SKEW


class DealDocument(Document):
    """A deal of a contact; `key` is ours and unique in the CRM, so that a replay finds it."""

    key: str
    contact_external_id: str
    company_external_id: str | None = None
    fields: Fields


class ActivityDocument(Document):
    """A classified message for the timeline; `key` marks it in the CRM, so that a replay finds it."""

    key: str
    external_id: str | None = None
    contact_external_id: str
    company_external_id: str | None = None
    occurred_at: datetime
    subject: str
    body: str
    intent: str | None = None
    sentiment: str | None = None
    priority: str | None = None
    next_action: str | None = None
    confidence: float | None = None
    requires_human_attention: bool = False


class TaskDocument(Document):
    """What a person is to do about a message, for the CRM's task list; `key` marks it, so that a replay finds it."""

    key: str
    external_id: str | None = None
    contact_external_id: str
    company_external_id: str | None = None
    due_at: datetime
    subject: str
    body: str
    is_urgent: bool = False


class ErasureDocument(Document):
    """A person who was erased: what is to be deleted in the CRM, by its ids, and nothing that tells who it was.

    Attributes:
        contacts: the CRM's ids of the person's records: contacts, leads or persons.
        deals, activities, tasks: the CRM's ids of what we made for them.
        deal_keys: our keys of deals that nobody has confirmed.
    """

    contacts: tuple[str, ...] = ()
    deals: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    deal_keys: tuple[str, ...] = ()

    def ids_of(self, kind: Literal["contacts", "deals", "activities", "tasks"]) -> tuple[str, ...]:
        """The known ids of one kind."""
        ids: tuple[str, ...] = getattr(self, kind)
        return ids


AnyDocument = ContactDocument | DealDocument | ActivityDocument | TaskDocument | ErasureDocument


class Batch(Frozen):
    """Work for one integration, composed at the moment of the claim.

    Attributes:
        id: the fence: whoever no longer holds it cannot finish it.
        schema_ready: the CRM is known to have the fields that `Client.ensure_schema` makes.
        schema_stale: what the CRM's fields are is not known, or not of late: `Client.describe` is due.
        account: what `Client.ensure_schema` has learned of the account.
        credentials_version: rises with each write of the credentials.
        connected_version: the one with which somebody connected it last: all ids here belong to that account.
    """

    id: int
    organization_id: UUID
    integration_id: int
    provider: str
    config: ProviderConfig
    credentials_version: int
    connected_version: int = 0
    schema_ready: bool
    schema_stale: bool = False
    account: dict[str, Any] = {}
    contacts: tuple[ContactDocument, ...] = ()
    deals: tuple[DealDocument, ...] = ()
    activities: tuple[ActivityDocument, ...] = ()
    tasks: tuple[TaskDocument, ...] = ()
    erasures: tuple[ErasureDocument, ...] = ()

    @property
    def documents(self) -> tuple[AnyDocument, ...]:
        return (*self.erasures, *self.contacts, *self.deals, *self.activities, *self.tasks)


class Failure(Frozen):
    """Why a document did not arrive; the fields are those of `ProviderError`."""

    kind: FailureKind
    message: str
    status: int | None = None
    code: str | None = None
    field: str | None = None
    correlation_id: str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, error: ProviderError) -> Failure:
        return cls(
            kind=error.kind,
            message=error.message,
            status=error.status,
            code=error.code,
            field=error.field,
            correlation_id=error.correlation_id,
            retry_after=error.retry_after,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one document.

    Attributes:
        status: `synced` (the CRM has it), `failed`, or `released` (never sent, or of unknown fate: see `uncertain`).
        external_id: the CRM's id of the contact, deal or activity.
        company_external_id: the CRM's id of the contact's company.
        created: the CRM had none before.
        takes_deals: a deal can hang on this record (it cannot on a Salesforce lead).
        remark: something a human should know although it worked (a stage that had to be substituted).
        uncertain: the effect may be there although no answer came.
    """

    rows: tuple[int, ...]
    status: Literal["synced", "failed", "released"]
    external_id: str | None = None
    company_external_id: str | None = None
    created: bool = False
    takes_deals: bool = True
    remark: str | None = None
    failure: Failure | None = None
    uncertain: bool = False
    duration_ms: int = 0
    echo: dict[str, Any] = field(default_factory=dict)
