"""A page for each record of the emulated CRMs, at the address at which the real CRM shows it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.overview_records import TITLES, details

if TYPE_CHECKING:
    from sandbox.app import Crm

_PAGE = (Path(__file__).parent / "pages" / "record.html").read_text(encoding="utf-8")
# Where each CRM shows a record, and what it calls its kinds there.
PLACES: dict[str, tuple[str, dict[str, str]]] = {
    "hubspot": (
        "/contacts/{account}/record/{kind}/{{id}}",
        {"0-1": "contacts", "0-2": "companies", "0-3": "deals"},
    ),
    "salesforce": (
        "/lightning/r/{kind}/{{id}}/view",
        {"Contact": "contacts", "Lead": "leads", "Account": "accounts", "Opportunity": "opportunities"},
    ),
    "pipedrive": ("/{kind}/{{id}}", {"person": "persons", "organization": "organizations", "deal": "deals"}),
}


def routes(crm: Crm) -> Iterator[Route]:
    """Below the CRM's name."""
    path, kinds = PLACES.get(crm.name, ("", {}))
    for word, kind in kinds.items():
        pattern = f"/{crm.name}{path.format(account='{account:int}', kind=word)}"
        yield Route(pattern, _Shown(crm, kind).show, methods=["GET"])


class _Shown:
    """One kind of a CRM's records."""

    def __init__(self, crm: Crm, kind: str) -> None:
        self._crm = crm
        self._kind = kind

    async def show(self, request: Request) -> Response:
        wanted, id_ = request.path_params.get("account"), request.path_params["id"]
        title = TITLES.get(self._crm.name, self._crm.name)
        for account in self._crm.accounts():
            if wanted in (None, account["account"]):
                found = details(self._crm.name, self._crm.ledger(account["account"]), self._kind, id_)
                if found is not None:
                    name, rows = found
                    fields = "".join(f"<dt>{escape(each)}</dt><dd>{escape(text)}</dd>" for each, text in rows)
                    where = f"{title} sandbox · {account['name']} · {self._kind}"
                    return _page(where, name, f"<dl>{fields}</dl>", 200)
        return _page(f"{title} sandbox", "There is no such record", "", 404)


def _page(where: str, name: str, content: str, status: int) -> HTMLResponse:
    page = _PAGE.replace("{title}", f"{escape(name)} · {escape(where)}").replace("{where}", escape(where))
    return HTMLResponse(page.replace("{name}", escape(name)).replace("{content}", content), status)
