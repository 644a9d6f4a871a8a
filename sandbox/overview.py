"""The page that shows people what the emulated CRMs contain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.overview_records import TITLES, Table, figures, tables

if TYPE_CHECKING:
    from sandbox.app import Crm

_PAGES = Path(__file__).parent / "pages"
PAGE = (_PAGES / "overview.html").read_text(encoding="utf-8")
SCRIPT = (_PAGES / "overview.js").read_text(encoding="utf-8")
MOST_EFFECTS = 20
MANY_ACCOUNTS = 6
"""With more than these, the tables of each are folded up."""
_LONGEST = 140
# How the emulators' journals call the kind of a record, the record, and what became of it.
KINDS = ("object_type", "kind", "object", "type")
NAMED = ("id", "name", "field_name")
CHANGES = ("properties", "fields", "values")


def overview(crms: Iterable[Crm]) -> str:
    """The whole page; everything that came over the wire is escaped."""
    by_crm = [(crm, crm.accounts()) for crm in crms]
    is_folded = sum(len(accounts) for _, accounts in by_crm) > MANY_ACCOUNTS
    groups = [_crm(crm, accounts, is_folded=is_folded) for crm, accounts in by_crm if accounts]
    empty = (
        '<p class="empty">No account is open yet. <code>POST /_sandbox/CRM/accounts</code> opens one and answers '
        "its tokens.</p>"
    )
    return PAGE.replace("{accounts}", "".join(groups) or empty)


def _crm(crm: Crm, accounts: Sequence[Mapping[str, Any]], *, is_folded: bool) -> str:
    title = escape(TITLES.get(crm.name, crm.name))
    count = f"{len(accounts):,} account{'' if len(accounts) == 1 else 's'}"
    sections = "".join(_account(crm, account, is_folded=is_folded) for account in accounts)
    return f'<h2 class="crm">{title} <small>{count}</small></h2>{sections}'


def _account(crm: Crm, account: Mapping[str, Any], *, is_folded: bool) -> str:
    number = account["account"]
    ledger, effects = crm.ledger(number), crm.effects(number)
    records = "".join(_records(table, is_folded=is_folded) for table in tables(crm.name, ledger) if table.rows)
    return (
        f"<section><h2>{escape(str(account['name']))} <small>{escape(crm.name)} {number}</small></h2>"
        f"{_figures(figures(crm.name, ledger))}{records}{_calls(ledger['calls'])}"
        f"{_effects(effects, is_folded=is_folded)}</section>"
    )


def _figures(counts: Iterable[tuple[str, int]]) -> str:
    boxes = [f"<div><dd>{value:,}</dd><dt>{escape(name)}</dt></div>" for name, value in counts]
    return f'<dl class="figures">{"".join(boxes)}</dl>'


def _records(table: Table, *, is_folded: bool) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    rows = [
        f"<tr>{''.join(_cell(name, value) for name, value in zip(table.columns, row, strict=True))}</tr>"
        for row in table.rows
    ]
    more = f"<p>The newest {len(rows)} of {table.total:,}.</p>" if table.total > len(rows) else ""
    opened = " open" if table.is_opened and not is_folded else ""
    return (
        f"<details{opened}><summary>{escape(table.title)} <small>{table.total:,}</small></summary>{more}"
        f"{_scrollable(table.title)}<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        "</details>"
    )


def _scrollable(title: str) -> str:
    """The beginning of a box that scrolls, which the keyboard reaches."""
    return f'<div class="wide" tabindex="0" role="group" aria-label="{escape(title)}">'


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
        f"{_scrollable('Calls')}<table><tbody>{rows}</tbody></table></div></details>"
    )


def _told(effect: Mapping[str, Any]) -> str:
    if "from_type" in effect:
        return f"{effect['from_type']} {effect['from_id']} → {effect['to_type']} {effect['to_id']}"
    kind, named = (next((str(effect[name]) for name in names if effect.get(name)), "") for names in (KINDS, NAMED))
    changes: Mapping[str, Any] = next((effect[name] for name in CHANGES if isinstance(effect.get(name), dict)), {})
    changed = ", ".join(f"{name}={value or 'cleared'}" for name, value in changes.items())
    return f"{kind} {named}: {changed}" if changed else f"{kind} {named}"


def _effects(effects: Sequence[Mapping[str, Any]], *, is_folded: bool) -> str:
    if not effects:
        return ""
    rows = []
    for each in reversed(effects[-MOST_EFFECTS:]):
        rows.append(
            f"<tr>{_cell('at', each['at'][11:19])}{_cell('effect', each['effect'])}{_cell('what', _told(each))}</tr>"
        )
    opened = "" if is_folded else " open"
    return (
        f"<details{opened}><summary>Recent effects <small>{len(effects):,} in all</small></summary>"
        f"{_scrollable('Recent effects')}<table><tbody>{''.join(rows)}</tbody></table></div></details>"
    )
