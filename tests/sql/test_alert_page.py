"""docs/alerts.md: its rules, its statements and its snippet are what they say."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from providers.webhook import signatures
from tests.house import House
from tests.sql.alert_scene import check, lose

PAGE = (Path(__file__).parent.parent.parent / "docs" / "alerts.md").read_text()


@pytest.mark.usefixtures("rolled_back")
def test_the_page_names_every_rule_as_it_is_shipped(house: House) -> None:
    rows = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (\d+) \w+[^|]* \| ([\w ]+) \| (\w+) \|", PAGE, re.M)}
    shipped = house.rows("select name, threshold, for_at_least, severity from crm_sync.alert_rules")
    assert set(rows) == {row[0] for row in shipped}
    for name, threshold, lasted, severity in shipped:
        minutes = lasted.total_seconds() / 60
        words = "at once" if not minutes else f"{minutes:g} minute{'s' if minutes > 1 else ''}"
        assert rows[name] == (str(threshold), words, severity), name


@pytest.mark.usefixtures("rolled_back")
def test_the_statements_of_the_page_are_valid(house: House, integration: int) -> None:
    lose(house, integration)
    check(house)
    statements = [text for text in re.findall(r"```sql\n(.*?)```", PAGE, re.S) if "cron." not in text]
    assert len(statements) == 7
    first = house.value("select min(id) from crm_sync.alerts")
    for text in statements:
        role = (
            "crm_sync_daemon" if "crm_sync." in text and "(" in text.split("crm_sync.")[1][:25] else "crm_sync_reader"
        )
        with house.as_role(role):
            assert house.connection.execute(text.replace("acknowledge(1,", f"acknowledge({first},").encode()).fetchall()


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_the_snippet_for_node_accepts_what_we_sign_and_nothing_else(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```js\n(.*?)```", PAGE, re.S)
    body = '{"type": "alert.raised"}'
    stamp = int(time.time())
    headers = {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": signatures([b"n" * 32, b"k" * 32], "msg-1", stamp, body.encode()),
    }
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    tries = [(secret, headers, body), (secret, headers, body + " "), ("whsec_AAAA", headers, body)]
    tries.append((secret, {**headers, "webhook-timestamp": str(stamp - 1000)}, body))
    script = tmp_path / "verify.mjs"
    script.write_text(f"{snippet}\nfor (const each of {json.dumps(tries)}) console.log(verify(...each));\n")
    done = subprocess.run(["node", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["true", "false", "false", "false"]
