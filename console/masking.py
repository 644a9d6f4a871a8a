"""What of a CRM's records is shown in the log unasked.

The rule: figures, times and the CRM's ids and choices (status, stage, pipeline …) are shown; every other text may be
about a person and is masked until a viewer asks for it. What is named like a secret is never shown: none is ever
logged, and should a CRM quote one, it ends here.
"""

from __future__ import annotations

import re
from typing import Any

DOTS = "••••••"
PLAIN_NAMES = re.compile(
    r"(^|_)(id|ids|status|stage|pipeline|type|kind|code|field|key|source|currency|amount|priority|limit|attempt)s?$"
    r"|status$|stage$|stagename$|pipeline|date$|_at$|lifecycle|leadsource|^rows$",
    re.IGNORECASE,
)
SECRET_NAMES = re.compile(r"token|secret|password|authori[sz]ation|api_?key|credential|cookie", re.IGNORECASE)
SECRET_VALUES = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{8,}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+")
PLAIN_VALUES = re.compile(r"^(-?\d{1,6}([.,]\d+)?|\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:?\d\d)?)?|true|false|)$")
ADDRESS = re.compile(r"[^\s@\"'<>(),;:\[\]]+@+[^\s@\"'<>(),;:\[\]]+")
TELEPHONE = re.compile(r"(?<![\w-])\+?\d[\d ()/.-]{6,}\d(?![\w-])")


def masked(value: Any, name: str = "", *, shows_personal: bool = False) -> Any:
    """A JSON value, as it may be shown."""
    if isinstance(value, dict):
        return {key: masked(each, str(key), shows_personal=shows_personal) for key, each in value.items()}
    if isinstance(value, list):
        return [masked(each, name, shows_personal=shows_personal) for each in value]
    if SECRET_NAMES.search(name) and value is not None:
        return DOTS
    return _masked_text(value, name, shows_personal) if isinstance(value, str) else value


def _masked_text(text: str, name: str, shows_personal: bool) -> str:
    text = SECRET_VALUES.sub(DOTS, text)
    if shows_personal:
        return text
    if name == "message":
        return masked_words(text)
    is_plain = PLAIN_VALUES.match(text) or (PLAIN_NAMES.search(name) and not ADDRESS.search(text))
    return text if is_plain else DOTS


def without_secrets(text: str | None) -> str:
    """A sentence as it is, but for what looks like a secret."""
    return SECRET_VALUES.sub(DOTS, text or "")


def masked_words(text: str | None, *, is_of_connection: bool = False) -> str:
    """A sentence without the addresses and telephone numbers that it quotes; a connection's are of accounts."""
    text = without_secrets(text)
    text = ADDRESS.sub(lambda found: found[0][0] + "•••@•••", text)
    return text if is_of_connection else TELEPHONE.sub(DOTS, text)
