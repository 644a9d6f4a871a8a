"""Questions in SOQL, in pieces that fit into a URL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

LONGEST_QUERY = 14_200
"""Characters, percent-encoded. Salesforce takes 16,384 bytes of URL and headers together, and a token may be a JWT of
nearly 2,000 characters."""
Term = Mapping[str, str]
"""What one of those looked for answers to: field by field the value, any of which is enough."""

# All of these may stand in the query of a URL as they are; each costs two characters more otherwise.
PLAIN = "'(),:"
ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\b": "\\b"})


def literal(text: str) -> str:
    """A value as SOQL text, whatever is in it."""
    return f"'{text.translate(ESCAPES)}'"


def select(object_name: str, fields: Iterable[str], terms: Iterable[Term], *, also: str = "") -> str:
    """The query for all records that answer to any of the terms.

    `also` is what follows the condition: a further one that begins with AND, or an order.
    """
    values: dict[str, dict[str, None]] = {}
    for term in terms:
        for name, value in term.items():
            values.setdefault(name, {})[literal(value)] = None
    lists = [f"{name} IN ({','.join(each)})" for name, each in values.items()]
    where = " OR ".join(lists)
    if len(lists) > 1 and also.startswith("AND "):
        where = f"({where})"
    return f"SELECT {','.join(fields)} FROM {object_name} WHERE {where}{' ' if also else ''}{also}"  # noqa: S608 - literal() made it safe


def encoded(query: str) -> str:
    """For the `q` parameter."""
    return quote(query, safe=PLAIN)


def pieces(object_name: str, fields: Sequence[str], terms: Sequence[Term], *, also: str = "") -> Iterator[list[Term]]:
    """The terms in pieces whose queries fit into a URL; a term too long for any stands alone."""
    room = LONGEST_QUERY - len(encoded(select(object_name, fields, [{"": ""}], also=also))) - 20
    piece: list[Term] = []
    left = room
    names: set[str] = set()
    for term in terms:
        size = sum(len(encoded(literal(value))) + 1 for value in term.values())
        size += sum(len(encoded(f" OR {name} IN ()")) for name in term if name not in names)
        if piece and size > left:
            yield piece
            piece, left, names = [], room, set()
            size = sum(
                len(encoded(literal(value))) + 1 + len(encoded(f" OR {name} IN ()")) for name, value in term.items()
            )
        piece.append(term)
        left -= size
        names |= set(term)
    if piece:
        yield piece
