"""Contact documents for the tests of one CRM's own ways."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from providers.models import ContactDocument, Field, Fields, Policy
from tests.providers.samples_hubspot import RANKS

ADA = "ada@example.com"


def contact(number: int = 1, email: str = ADA, fields: dict[str, Any] | None = None, **more: Any) -> ContactDocument:
    given: Fields = {"email": Field(value=email, policy=Policy.IF_BLANK), **(fields or {})}
    return ContactDocument(rows=(number,), contact_id=UUID(int=number), email=email, fields=given, **more)


def only_blank(value: str) -> Field:
    return Field(value=value, policy=Policy.IF_BLANK)


def forward(value: str) -> Field:
    return Field(value=value, policy=Policy.FORWARD_ONLY, ranks=RANKS)
