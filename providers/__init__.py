"""The CRMs, each one module with one `Client`; found by their name, so a fourth needs no entry in a list."""

from __future__ import annotations

import importlib
import re
from importlib.util import find_spec

from providers.base import Client


def client_for(name: str) -> type[Client]:
    """The client of the CRM that `integration_providers.name` calls `name`.

    Raises `LookupError` when there is no module for it.
    """
    if re.fullmatch(r"[a-z][a-z0-9]*", name) and find_spec(f"{__name__}.{name}") is not None:
        client = getattr(importlib.import_module(f"{__name__}.{name}"), "Client", None)
        if isinstance(client, type) and issubclass(client, Client) and getattr(client, "name", None) == name:
            return client
    raise LookupError(f"there is no provider {name!r}")


__all__ = ["client_for"]
