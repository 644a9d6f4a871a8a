"""How a connection stands, in words for people: what it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Standing(NamedTuple):
    """`kind` is a badge's: ok, warn, bad or idle; `remedy` says what to do, where anything is to be done."""

    kind: str
    title: str
    remedy: str = ""


STATES = {
    "error": Standing(
        "bad",
        "Needs you",
        "Reconnect, with the rights that the message names: what waits is sent then. If you have mended it in the CRM "
        "itself, try again.",
    ),
    "paused": Standing("idle", "Paused", "Resume it, and what waits is sent."),
    "rate_limited": Standing("warn", "Waiting for room", "The CRM’s rate limit is used up; it goes on by itself."),
    "unavailable": Standing("warn", "CRM is down", "It is tried again by itself."),
}


def of(card: Mapping[str, Any]) -> Standing:
    """From a row of `queries_integrations.cards`."""
    if card["other_account"]:
        return Standing("warn", "Another account", "Nothing is sent until you have answered the question below.")
    if card["state"] == "disconnected":
        return Standing(
            "idle",
            "Disconnected" if card["was_connected"] else "Not connected yet",
            "Connect it again: its settings and mappings are still here.",
        )
    return STATES.get(card["state"], Standing("ok", "Connected"))
