"""The page on which a person lets the app act in an org."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Allow access to Salesforce (sandbox)?</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 2rem auto; padding: 0 1rem; }
  label { display: block; padding: .25rem 0; }
  button { font: inherit; padding: .5rem 1.25rem; margin: 1rem .5rem 0 0; }
</style>
</head>
<body>
<h1>Allow access?</h1>
<p>The app asks to act in one of these orgs of the sandbox:</p>
<form method="post">
{hidden}
{orgs}
<p>It will be allowed to use:</p>
<ul>{scopes}</ul>
<button name="decision" value="approve">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>
</body>
</html>
"""


def page(orgs: Iterable[tuple[int, str]], asked: Mapping[str, str]) -> str:
    """The page for what was asked, everything of it escaped; the first org is chosen."""
    listed = [
        f'<label><input type="radio" name="org" value="{number}"{"" if index else " checked"}> '
        f"{html.escape(name)} <small>{number}</small></label>"
        for index, (number, name) in enumerate(orgs)
    ]
    hidden = [
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in asked.items()
    ]
    scopes = [f"<li><code>{html.escape(scope)}</code></li>" for scope in asked.get("scope", "").split()]
    return (
        _PAGE.replace("{orgs}", "".join(listed) or "<p>There is no org yet.</p>")
        .replace("{hidden}", "".join(hidden))
        .replace("{scopes}", "".join(scopes))
    )
