"""What a CRM tells of an account: whose it is, and what fields its records have."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from pydantic import field_validator

from providers.models import Frozen


class Option(Frozen):
    """One of the values that a field of the CRM may have."""

    value: str
    label: str


class CrmField(Frozen):
    """A field as the CRM describes it.

    Attributes:
        object: which of our objects it belongs to.
        name: what a mapping calls it: the CRM's own name for it in the API.
        label: what people see.
        type: text, number, boolean, date, datetime, enum, multi_enum or other.
        is_writable: whether we may set it.
        is_required: whether a new record must have it.
        options: the values there are; for pipelines and stages too.
        is_closed: whether the CRM takes nothing but `options`.
    """

    object: Literal["contact", "lead", "company", "deal"]
    name: str
    label: str
    type: str = "text"
    is_writable: bool = True
    is_required: bool = False
    options: tuple[Option, ...] = ()
    is_closed: bool = False


def one_line(text: str, longest: int) -> str:
    """A stranger's words without what breaks lines, steers a terminal or turns the direction of a text."""
    visible = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 4 * longest])
    return " ".join(visible.split())[:longest]


class AccountFacts(Frozen):
    """The account behind a connection, as the CRM names it; its words are other people's, so they are cleaned.

    Attributes:
        id: HubSpot's portal, Salesforce's organization, Pipedrive's company.
        name: what people call it.
        url: where people open it; `providers.credentials.account_url` says which may be taken.
    """

    id: str
    name: str | None = None
    url: str | None = None

    @field_validator("id")
    @classmethod
    def _is_an_id(cls, value: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", value) is None:
            raise ValueError("no id")
        return value

    @field_validator("name")
    @classmethod
    def _on_one_line(cls, value: str | None) -> str | None:
        return one_line(value or "", 200) or None

    @property
    def words(self) -> str:
        """As people read it."""
        return f"{self.name} ({self.id})" if self.name else f"account {self.id}"
