"""The file of settings: what is written is read back as it was, and what makes no sense is refused by line or path."""

from __future__ import annotations

import json
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.commands.document import parse, render, to_json
from listener.errors import InvalidSettings

ACME = "7f0c6f0e-0d3b-4a5c-9a57-0c6ffa1f6e9c"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
NUMBER = st.one_of(
    st.integers(-(10**20), 10**20),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=15),
    st.sampled_from([Decimal("1e+30"), Decimal("1e-30"), Decimal("0.10"), Decimal("12345678901234567890.123")]),
)
ODD = st.sampled_from(
    ["no", "on", "~", "null", "1.0", "0x1F", "012", "1e3", "2026-11-23", "<<", "=", "a: b", "- x", "#"]
)
LEAF = st.one_of(st.none(), st.booleans(), NUMBER, TEXT, ODD)
VALUE = st.recursive(
    LEAF, lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXT | ODD, each, max_size=3), max_leaves=8
)


def document(value: Any) -> dict[str, Any]:
    connection = {"sync_frequency": "daily", "sync_settings": {"theirs": value}}
    return {"version": 1, "organizations": {ACME: {"connections": {"hubspot/default": connection}}}}


def read(text: str) -> Any:
    return json.loads(parse(text), parse_float=Decimal)


@settings(max_examples=200, deadline=None)
@given(value=VALUE, name=TEXT)
def test_what_is_written_is_read_back_as_it_was(value: Any, name: str) -> None:
    whole = document(value)
    named = json.loads(to_json(whole), parse_float=Decimal)
    named["organizations"][ACME]["name"] = name
    text = render(to_json(named))
    assert read(text) == whole
    assert render(to_json(read(text) | {"organizations": named["organizations"]})) == text


def test_the_file_is_for_people() -> None:
    whole = document([1.50, "no"])
    whole["organizations"][ACME]["name"] = "Acme\nGmbH"
    whole["organizations"][ACME]["connections"]["hubspot/default"]["sync_filters"] = {"all": []}
    text = render(to_json(whole))
    assert text.startswith("# The settings of pg-crm-sync.")
    assert text.endswith(
        f"""version: 1
organizations:
  # Acme GmbH
  {ACME}:
    connections:
      hubspot/default:
        sync_frequency: daily
        sync_settings:
          theirs:
            - 1.5
            - no
        sync_filters:
          all: []
"""
    )
    assert max(map(len, text.splitlines())) <= 120


def test_a_rule_of_an_alert_is_read_as_it_was_written() -> None:
    rule = {"condition": "oldest_wait", "threshold": Decimal("0.50"), "for_at_least": "5 minutes", "is_active": False}
    whole = {"version": 1, "alert_rules": {"mine": rule, "gone": None}, "organizations": {ACME: {"alert_rules": {}}}}
    text = render(to_json(whole))
    assert list(read(text)["alert_rules"]["mine"]) == list(rule)
    assert read(text) == whole


def test_words_are_texts_and_numbers_keep_their_digits() -> None:
    text = (
        "version: 1\nconfig:\n  a: no\n  b: on\n  c: 2026-11-23\n  d: 0.10000000000000000000001\n  e: 14 days\n"
        "  f: &g [1]\n  h: *g\n  i: 012\n"
    )
    assert read(text)["config"] == {
        "a": "no", "b": "on", "c": "2026-11-23", "d": Decimal("0.10000000000000000000001"), "e": "14 days",
        "f": [1], "h": [1], "i": 12,
    }  # fmt: skip


def test_the_example_of_the_documentation_is_read() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "settings.md").read_text()
    example = page[page.index("    version: 1\n") :].partition("\n\n")[0]
    found = read(textwrap.dedent(example))
    assert found["intent_rules"] == {"objection": None}
    (organization,) = found["organizations"].values()
    assert organization["connections"]["hubspot/default"]["sync_settings"] == {"deal_amount": 2000}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it begins with: version: 1"),
        ("- a", "it begins with: version: 1"),
        ("config: {}", "version: field required"),
        ("version: 2", "version: input should be 1"),
        ("version: 1\nversion: 1", 'line 2: found duplicate key "version"'),
        ("version: 1\nconfig: {a: 1, a: s3cret}", 'line 2: found duplicate key "a"'),
        ("version: 1\nconfig: [", "line 2: "),
        ("version: 1\nconfig: {1: a}", "config: the key 1 is not a text; put it in quotes"),
        ("version: 1\nconfig: {no: {on: {2: 1}}}", "config.no.on: the key 2 is not a text"),
        ("version: 1\nconfig: {a: .inf}", "line 2: .inf is no number"),
        ("version: 1\nconfig: {a: 1e999999999}", "line 2: 1e999999999 is no number"),
        ("version: 1\nconfig: {a: [!!binary aGk=]}", "config.a[1]: a bytes cannot be a setting"),
        ("version: 1\nconfig: {a: !!python/object:os.system x}", "line 2: could not determine a constructor"),
        ("version: 1\npeople: {}", "people: there is no such key here"),
        ("version: 1\norganizations: {acme: {}}", "organizations: acme is not the id of an organization"),
        (f"version: 1\norganizations: {{{ACME}: {{}}, {ACME.upper()}: {{}}}}", f"{ACME} comes twice"),
        ("version: 1\nintent_rules: {x: {contact_status: hot}}", "intent_rules.x.contact_status: input should be"),
        ("version: 1\nintent_rules: {x: {create_deal: 'yes'}}", "intent_rules.x.create_deal: input should be a valid"),
        ("version: 1\nalert_rules: {x: {severity: bad}}", "alert_rules.x.severity: input should be 'info', 'warning'"),
        ("version: 1\nalert_rules: {x: {threshold: '5'}}", "alert_rules.x.threshold: must be a number"),
        (
            "version: 1\nalert_rules: {x: {for_at_least: 5}}",
            "alert_rules.x.for_at_least: input should be a",
        ),
        ("version: 1\nalert_rules: {x: {treshold: 5}}", "alert_rules.x.treshold: there is no such key here"),
        ("version: 1\nproviders: {hubspot: {client_secret: x}}", "providers.hubspot.client_secret: secrets have no"),
        ("version: 1\ntoken: x", "token: secrets have no place here; crm-sync connect takes them"),
        ("version: 1\nconfig: " + "[" * 5000, "the file is too deep"),
    ],
)
def test_nonsense_is_refused_by_line_or_path(text: str, words: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        parse(text)
    assert words in str(refusal.value)
    assert "s3cret" not in str(refusal.value)
