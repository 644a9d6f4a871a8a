"""A person with a browser on a CRM's consent page."""

from __future__ import annotations

import re
from html import unescape
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import httpx

HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


def consent(
    url: str, choice: str, number: int, decision: Literal["approve", "deny"] = "approve", **changed: str
) -> tuple[str, dict[str, str]]:
    """Open the page, choose an account and decide; where the CRM sends the browser then, without and with its query.

    `changed` are hidden fields that somebody has tampered with.
    """
    page = httpx.get(url)
    assert page.status_code == 200, page.text
    fields = {unescape(name): unescape(value) for name, value in HIDDEN.findall(page.text)}
    answer = httpx.post(url, data={**fields, choice: str(number), "decision": decision, **changed})
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["location"])
    return parts._replace(query="").geturl(), dict(parse_qsl(parts.query))
