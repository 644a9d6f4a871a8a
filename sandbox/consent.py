"""The page on which a person lets an app act in an account of an emulated CRM, and the page that refuses to ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

_PAGE = (Path(__file__).parent / "pages" / "consent.html").read_text(encoding="utf-8")
NEW = "new"
"""What the choice of an account says that does not exist yet."""
LONGEST_NAME = 80
# Styles only: no script runs here, and nobody frames it. Without form-action, which would hold for the way back too.
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True)
class Consent:
    """How one CRM asks.

    Attributes:
        crm: its name, as people know it.
        account: what it calls an account.
        field: the form's field for the chosen account's number.
        allow: the word on the button.
        accent: its colour on light and on dark ground.
    """

    crm: str
    account: str
    field: str
    allow: str
    accent: tuple[str, str]

    def ask(self, accounts: Iterable[tuple[int, str]], asked: Mapping[str, str], scopes: Iterable[str]) -> HTMLResponse:
        """The page for what was asked, everything of it escaped; the first account is chosen."""
        listed = [(str(number), name) for number, name in accounts]
        choices = [
            self._choice(value, escape(name), is_chosen=not place, remark=value)
            for place, (value, name) in enumerate(listed)
        ]
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in asked.items()
        )
        new = self._choice(NEW, f"A new, empty {self.account}", is_chosen=not listed)
        content = f"""
<h1>An app asks for access to {self.crm}</h1>
<p class="note">App <code>{escape(asked.get("client_id", ""))}</code></p>
<form method="post">
{hidden}
<fieldset>
<legend>Which {self.account} may it act in?</legend>
<div class="accounts">{"".join(choices)}{new}
<p class="name"><label for="new-name">Name of the new {self.account}</label>
<input type="text" id="new-name" name="new_name" maxlength="{LONGEST_NAME}" value="My {self.account}"></p>
</div>
</fieldset>
<h2>It will be allowed to use</h2>
<ul>{"".join(f"<li><code>{escape(scope)}</code></li>" for scope in scopes)}</ul>
<div class="buttons">
<button class="main" name="decision" value="approve">{self.allow}</button>
<button name="decision" value="deny">Deny</button>
</div>
<p class="note">Either way you go back to {escape(_place(asked["redirect_uri"]))}</p>
</form>"""
        return self._page(f"Allow access? · {self.crm} sandbox", content, 200)

    def refuse(self, problem: str) -> HTMLResponse:
        """What a person sees when an app asks in a way that leads nowhere (400)."""
        content = (
            f"<h1>{self.crm} does not know what this app wants</h1><p>{escape(problem)}</p>"
            '<p class="note">Go back to the app; whoever runs it has to change something.</p>'
        )
        return self._page(f"Not possible · {self.crm} sandbox", content, 400)

    def _choice(self, value: str, label: str, *, is_chosen: bool, remark: str = "") -> str:
        small = f" <small>{remark}</small>" if remark else ""
        return (
            f'<label class="choice"><input type="radio" name="{self.field}" value="{escape(value)}"'
            f"{' checked' if is_chosen else ''}> <span>{label}</span>{small}</label>"
        )

    def _page(self, title: str, content: str, status: int) -> HTMLResponse:
        words = {"{title}": title, "{crm}": self.crm, "{accent}": ", ".join(self.accent), "{content}": content}
        page = _PAGE
        for name, value in words.items():  # the content last: it holds what others wrote
            page = page.replace(name, value)
        return HTMLResponse(page, status, _HEADERS)


HUBSPOT = Consent("HubSpot", "account", "hub_id", "Approve", ("#a63c0a", "#ff9a66"))
SALESFORCE = Consent("Salesforce", "org", "org", "Allow", ("#0b5cab", "#7ab8ff"))
PIPEDRIVE = Consent("Pipedrive", "company", "company", "Approve", ("#1b6e3c", "#6fd196"))


def new_name(form: Mapping[str, str]) -> str | None:
    """The name that a person gave to a new account; None leaves it to the CRM."""
    return form.get("new_name", "").strip()[:LONGEST_NAME] or None


def _place(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}"
