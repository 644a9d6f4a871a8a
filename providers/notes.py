"""What people read on a CRM's timeline and task list, and the line by which a replay finds it again."""

from __future__ import annotations

import html
from collections.abc import Iterator

from providers.models import ActivityDocument, TaskDocument

LONGEST_EXCERPT = 10_000
"""Characters of a message's body: enough to read what it says; the whole message stays where it came from."""
LONGEST_SUBJECT = 300
LONGEST_FACT = 120
MARKER_START = "[crm-sync "


def marker_of(key: str) -> str:
    """The line by which a record is found again; closed on both sides, so that no key is the beginning of another."""
    return f"{MARKER_START}{key}]"


def note_html(document: ActivityDocument, longest: int) -> str:
    """The message as HTML, at most `longest` characters; the excerpt gives way, the marker never does."""
    head = f"<p><strong>{_escaped(document.subject or '(no subject)', LONGEST_SUBJECT)}</strong></p>"
    facts = "".join(f"<li>{name}: {_escaped(value, LONGEST_FACT)}</li>" for name, value in facts_of(document))
    return _fitted_html(head + (f"<ul>{facts}</ul>" if facts else ""), document.body, document.key, longest)


def note_text(document: ActivityDocument, longest: int) -> str:
    """The message as plain text, at most `longest` characters; the excerpt gives way, the marker never does."""
    facts = "".join(f"{name}: {_cut(value, LONGEST_FACT)}\n" for name, value in facts_of(document))
    head = f"{_cut(document.subject or '(no subject)', LONGEST_SUBJECT)}\n" + (f"\n{facts}" if facts else "")
    return _fitted_text(head, document.body, document.key, longest)


def task_html(document: TaskDocument, longest: int) -> str:
    """What is to be done, as HTML, with the marker."""
    return _fitted_html("", document.body, document.key, longest)


def task_text(document: TaskDocument, longest: int) -> str:
    """What is to be done, as plain text, with the marker."""
    return _fitted_text("", document.body, document.key, longest)


def facts_of(document: ActivityDocument) -> Iterator[tuple[str, str]]:
    """What the classifier said of the message, in words for people."""
    if document.requires_human_attention:
        yield "Needs attention", "yes"
    for name, value in (
        ("Intent", document.intent),
        ("Sentiment", document.sentiment),
        ("Priority", document.priority),
        ("Next action", document.next_action),
    ):
        if value:
            yield name, value.replace("_", " ")
    if document.confidence is not None:
        yield "Confidence", f"{document.confidence:.0%}"


def _fitted_html(head: str, body: str, key: str, longest: int) -> str:
    tail = f"<p><small>{html.escape(marker_of(key))}</small></p>"
    excerpt = _excerpt(body.strip(), longest - len(head) - len(tail) - len("<p></p>"))
    return head + (f"<p>{excerpt}</p>" if excerpt else "") + tail


def _fitted_text(head: str, body: str, key: str, longest: int) -> str:
    tail = marker_of(key)
    room = min(LONGEST_EXCERPT, longest - len(head) - len(tail) - 3)
    excerpt = _cut(body.strip().replace("\r\n", "\n"), max(room, 0))
    return (f"{head}\n" if head else "") + (f"{excerpt}\n\n" if excerpt else "") + tail


def _escaped(text: str, longest: int) -> str:
    return html.escape(_cut(text, longest))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: max(longest - 1, 0)] + "…"


def _excerpt(text: str, room: int) -> str:
    """As much of the text as fits into `room` characters of HTML, an ellipsis where it was cut."""
    room -= len("…")
    written: list[str] = []
    for character in text[:LONGEST_EXCERPT].replace("\r\n", "\n"):
        piece = "<br>" if character == "\n" else html.escape(character)
        room -= len(piece)
        if room < 0:
            return "".join(written) + "…"
        written.append(piece)
    return "".join(written) + ("…" if len(text) > LONGEST_EXCERPT else "")
