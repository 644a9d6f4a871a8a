"""The text of a note: readable, within HubSpot's limit, and never without its marker."""

from __future__ import annotations

import html
import re
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.hubspot_timeline import LONGEST_BODY
from providers.models import ActivityDocument
from providers.notes import marker_of, note_html
from tests.providers.contract import OCCURRED


def activity(**more: Any) -> ActivityDocument:
    given_or_not = {"key": "org-7:classification-9", "subject": "Re: offer", "body": "Yes & <please>", **more}
    return ActivityDocument(
        rows=(1,), contact_id=UUID(int=1), contact_external_id="5", occurred_at=OCCURRED, **given_or_not
    )


def note_of(document: ActivityDocument) -> str:
    return note_html(document, LONGEST_BODY)


def test_a_note_reads_well() -> None:
    text = note_of(
        activity(
            intent="interested",
            sentiment="positive",
            priority="high",
            next_action="schedule_call",
            confidence=0.934,
            requires_human_attention=True,
        )
    )
    assert text == (
        "<p><strong>Re: offer</strong></p><ul><li>Needs attention: yes</li><li>Intent: interested</li>"
        "<li>Sentiment: positive</li><li>Priority: high</li><li>Next action: schedule call</li>"
        "<li>Confidence: 93%</li></ul><p>Yes &amp; &lt;please&gt;</p>"
        "<p><small>[crm-sync org-7:classification-9]</small></p>"
    )


def test_what_is_unknown_takes_no_line() -> None:
    assert "<ul>" not in note_of(activity())
    assert "<p></p>" not in note_of(activity(body="  \n "))
    assert "(no subject)" in note_of(activity(subject=""))


@pytest.mark.parametrize("character", ["a", "&", '"', "🙂", "\n", "\r\n", "<", "é"])
def test_a_body_of_a_megabyte_fits_with_its_marker(character: str) -> None:
    document = activity(body=f"start {character * 1_000_000} end", subject="&" * 100_000, intent='"' * 10_000)
    text = note_of(document)
    assert len(text.encode("utf-16-le")) // 2 <= 65_536
    assert "start" in text
    assert "…" in text
    assert text.endswith(f"<p><small>{marker_of(document.key)}</small></p>")


@given(st.text(max_size=300), st.text(max_size=3_000), st.text(min_size=1, max_size=60))
@settings(deadline=None)
def test_no_text_becomes_markup_and_no_marker_is_lost(subject: str, body: str, key: str) -> None:
    document = activity(subject=subject, body=body, key=key)
    text = note_of(document)
    assert set(re.findall(r"<[^>]*>", text)) <= {"<p>", "</p>", "<strong>", "</strong>", "<small>", "</small>", "<br>"}
    assert marker_of(document.key) in html.unescape(text)


def test_no_marker_is_part_of_another() -> None:
    assert marker_of("1") not in marker_of("12")
    assert marker_of("2") not in marker_of("12")
