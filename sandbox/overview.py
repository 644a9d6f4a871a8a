"""The page that shows people what the emulated CRMs contain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.app import Crm

_PAGES = Path(__file__).parent / "pages"
PAGE = (_PAGES / "overview.html").read_text(encoding="utf-8")
SCRIPT = (_PAGES / "overview.js").read_text(encoding="utf-8")
MOST_ROWS = 100
MOST_EFFECTS = 20
_TOTALS = ("contacts", "companies", "deals", "notes")
_COLUMNS = {
    "contacts": ("firstname", "lastname", "email", "company", "lifecyclestage", "hs_lead_status"),
    "companies": ("name", "domain", "industry"),
    "deals": ("dealname", "dealstage", "amount", "closedate"),
    "notes": ("hs_timestamp", "hs_note_body"),
}
_LONGEST = 140


def overview(crms: Iterable[Crm]) -> str:
    """The whole page; everything that came over the wire is escaped."""
    sections = [_account(crm, account) for crm in crms for account in crm.accounts()]
    empty = (
        '<p class="empty">No account is open yet. <code>POST /_sandbox/hubspot/portals</code> opens one and answers '
        "its tokens.</p>"
    )
    return PAGE.replace("{accounts}", "".join(sections) or empty)


def _account(crm: Crm, account: Mapping[str, Any]) -> str:
    number = account["account"]
    ledger, effects = crm.ledger(number), crm.effects(number)
    names = _names(ledger)
    tables = [_records(kind, ledger[kind], ledger["associations"], names) for kind in _TOTALS]
    return (
        f"<section><h2>{escape(str(account['name']))} <small>{escape(crm.name)} {number}</small></h2>"
        f"{_figures(ledger)}{''.join(tables)}{_calls(ledger['calls'])}{_effects(effects)}</section>"
    )


def _figures(ledger: Mapping[str, Any]) -> str:
    figures = [(kind.capitalize(), len(ledger[kind])) for kind in _TOTALS]
    # The ledger tells of each association from both ends.
    pairs = {
        frozenset({(each["from_type"], each["from_id"]), (each["to_type"], each["to_id"])})
        for each in ledger["associations"]
    }
    figures += [("Associations", len(pairs)), ("Calls spent", ledger["calls"]["total"])]
    boxes = [f"<div><dd>{value:,}</dd><dt>{name}</dt></div>" for name, value in figures]
    return f'<dl class="figures">{"".join(boxes)}</dl>'


def _names(ledger: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    chosen = {"contacts": ("email", "firstname"), "companies": ("name", "domain"), "deals": ("dealname",), "notes": ()}
    return {
        (kind, each["id"]): next((each["properties"][name] for name in named if name in each["properties"]), each["id"])
        for kind, named in chosen.items()
        for each in ledger[kind]
    }


def _records(
    kind: str,
    records: Sequence[Mapping[str, Any]],
    associations: Iterable[Mapping[str, Any]],
    names: Mapping[tuple[str, str], str],
) -> str:
    if not records:
        return ""
    # Newest first: whoever watches a sync wants to see what just arrived.
    shown = list(reversed(records[-MOST_ROWS:]))
    linked: dict[str, dict[str, str]] = {each["id"]: {} for each in shown}
    for each in associations:
        if each["from_type"] == kind and each["from_id"] in linked and each["to_type"] != "notes":
            other = (each["to_type"], each["to_id"])
            linked[each["from_id"]][f"{each['to_type'][:-1]} {each['to_id']}"] = names.get(other, each["to_id"])
    columns = [name for name in _COLUMNS[kind] if any(name in each["properties"] for each in shown)]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("id", *columns, "associated with"))
    rows = [
        "<tr>"
        + _cell("id", each["id"])
        + "".join(_cell(name, each["properties"].get(name, "")) for name in columns)
        + _cell("associated with", ", ".join(sorted(linked[each["id"]].values())))
        + "</tr>"
        for each in shown
    ]
    more = f"<p>The newest {MOST_ROWS} of {len(records):,}.</p>" if len(records) > MOST_ROWS else ""
    opened = " open" if kind in ("contacts", "deals") else ""
    return (
        f"<details{opened}><summary>{kind.capitalize()} <small>{len(records):,}</small></summary>{more}"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></details>'
    )


def _cell(name: str, value: str) -> str:
    short = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    return f'<td data-name="{escape(name)}">{escape(short)}</td>'


def _calls(calls: Mapping[str, Any]) -> str:
    if not calls["total"]:
        return ""
    statuses = ", ".join(f"{number:,} × {escape(status)}" for status, number in sorted(calls["by_status"].items()))
    paths = sorted(calls["by_path"].items(), key=lambda each: -each[1])
    rows = "".join(f"<tr><td>{number:,}</td><td><code>{escape(path)}</code></td></tr>" for path, number in paths)
    return (
        f"<details><summary>Calls <small>{calls['total']:,} ({statuses})</small></summary>"
        f'<div class="wide"><table><tbody>{rows}</tbody></table></div></details>'
    )


def _told(effect: Mapping[str, Any]) -> str:
    if "from_type" in effect:
        return f"{effect['from_type']} {effect['from_id']} → {effect['to_type']} {effect['to_id']}"
    what = f"{effect['object_type']} {effect.get('id') or effect.get('name')}"
    changed = ", ".join(f"{name}={value or 'cleared'}" for name, value in effect.get("properties", {}).items())
    return f"{what}: {changed}" if changed else what


def _effects(effects: Sequence[Mapping[str, Any]]) -> str:
    if not effects:
        return ""
    rows = []
    for each in reversed(effects[-MOST_EFFECTS:]):
        rows.append(
            f"<tr>{_cell('at', each['at'][11:19])}{_cell('effect', each['effect'])}{_cell('what', _told(each))}</tr>"
        )
    return (
        f"<details open><summary>Recent effects <small>{len(effects):,} in all</small></summary>"
        f'<div class="wide"><table><tbody>{"".join(rows)}</tbody></table></div></details>'
    )
