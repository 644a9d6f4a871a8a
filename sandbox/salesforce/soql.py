"""SOQL, read: one statement as a tree. What is not of the subset is MALFORMED_QUERY, as a typing error would be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.salesforce.errors import ApiError

LONGEST = 100_000
_TOKEN = re.compile(
    r"\s*(?:(?P<moment>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))|(?P<day>\d{4}-\d\d-\d\d)"
    r"|(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<text>'(?:[^'\\]|\\.)*')"
    r"|(?P<name>[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*(?::\d+)?)|(?P<sign><=|>=|!=|<>|[=<>(),]))",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_SIGNS = ("=", "!=", "<>", "<", "<=", ">", ">=")
_DAYS = {"TODAY": 0, "YESTERDAY": -1, "TOMORROW": 1}


@dataclass(frozen=True)
class Value:
    """A value as it was written; `kind` is text, number, day, moment, boolean, null or days (from today)."""

    kind: str
    value: Any


@dataclass(frozen=True)
class Comparison:
    """`path` is a field, or relations and a field; `values` are several for IN and NOT IN."""

    path: tuple[str, ...]
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Junction:
    kind: Literal["AND", "OR", "NOT"]
    parts: tuple[Condition, ...]


Condition = Comparison | Junction


@dataclass(frozen=True)
class Order:
    path: tuple[str, ...]
    is_descending: bool = False
    nulls_last: bool = False


@dataclass(frozen=True)
class Query:
    """`paths` is empty for COUNT()."""

    sobject: str
    paths: tuple[tuple[str, ...], ...]
    where: Condition | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


def malformed(message: str) -> ApiError:
    return ApiError("MALFORMED_QUERY", message)


def parse(text: str) -> Query:
    """A statement; raises ApiError."""
    if len(text) > LONGEST:
        raise malformed(f"SOQL statements cannot be longer than {LONGEST} characters.")
    return _Parser(text, _tokens(text)).query()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if not found or found.lastgroup is None:
            rest = text[position:].lstrip()
            raise malformed(f"line 1:{position} no viable alternative at character '{rest[:1]}'")
        tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
        position = found.end()
    return tokens


@dataclass
class _Parser:
    text: str
    tokens: list[_Token]
    place: int = field(default=0)
    alias: str | None = None

    def query(self) -> Query:
        self._expect("SELECT")
        paths = self._selected()
        self._expect("FROM")
        sobject = self._name()
        if self._peek_kind() == "name" and self._peek().upper() not in ("WHERE", "ORDER", "LIMIT", "OFFSET"):
            self.alias = self._name().lower()
        where = self._condition() if self._take("WHERE") else None
        order: list[Order] = []
        if self._take("ORDER"):
            self._expect("BY")
            order.append(self._order())
            while self._take(","):
                order.append(self._order())
        limit = self._count() if self._take("LIMIT") else None
        offset = self._count() if self._take("OFFSET") else 0
        if self.place < len(self.tokens):
            raise self._unexpected()
        strip = self._without_alias
        return Query(sobject, tuple(strip(path) for path in paths), where, tuple(order), limit, offset)

    def _selected(self) -> list[tuple[str, ...]]:
        first = self._path()
        if first == ("COUNT",) and self._take("("):
            self._expect(")")
            return []
        if first[-1].upper() == "COUNT" and self._take("("):
            raise self._unexpected()
        paths = [first]
        while self._take(","):
            paths.append(self._path())
        return paths

    def _condition(self) -> Condition:
        """Several terms, all joined by AND or all by OR: mixing needs parentheses."""
        first = self._term()
        word = self._peek().upper()
        if word not in ("AND", "OR"):
            return first
        parts = [first]
        while self._take(word):
            parts.append(self._term())
        if self._peek().upper() in ("AND", "OR"):
            raise self._unexpected()
        return Junction("AND" if word == "AND" else "OR", tuple(parts))

    def _term(self) -> Condition:
        if self._take("NOT"):
            return Junction("NOT", (self._term(),))
        if self._take("("):
            inside = self._condition()
            self._expect(")")
            return inside
        path = self._without_alias(self._path())
        if self._take("LIKE"):
            return Comparison(path, "LIKE", (self._literal(),))
        is_not = self._take("NOT")
        if self._take("IN"):
            self._expect("(")
            values = [self._literal()]
            while self._take(","):
                values.append(self._literal())
            self._expect(")")
            return Comparison(path, "NOT IN" if is_not else "IN", tuple(values))
        sign = self._peek()
        if is_not or sign not in _SIGNS:
            raise self._unexpected()
        self.place += 1
        return Comparison(path, "!=" if sign == "<>" else sign, (self._literal(),))

    def _order(self) -> Order:
        path = self._without_alias(self._path())
        is_descending = self._take("DESC")
        if not is_descending:
            self._take("ASC")
        nulls_last = False
        if self._take("NULLS"):
            nulls_last = self._take("LAST")
            if not nulls_last:
                self._expect("FIRST")
        return Order(path, is_descending, nulls_last)

    def _literal(self) -> Value:
        if self.place >= len(self.tokens):
            raise self._unexpected()
        token = self.tokens[self.place]
        self.place += 1
        match token.kind:
            case "text":
                return Value("text", self._unescaped(token))
            case "number":
                return Value("number", float(token.text))
            case "day" | "moment":
                return Value(token.kind, token.text)
            case "name":
                word = token.text.upper()
                if word in ("TRUE", "FALSE"):
                    return Value("boolean", word == "TRUE")
                if word == "NULL":
                    return Value("null", None)
                if word in _DAYS:
                    return Value("days", _DAYS[word])
        self.place -= 1
        raise self._unexpected()

    def _unescaped(self, token: _Token) -> str:
        """The text that a quoted one stands for; wildcards that are escaped stay so for LIKE."""

        def one(found: re.Match[str]) -> str:
            letter = found[1]
            if letter.startswith("u") and len(letter) == 5:
                return chr(int(letter[1:], 16))
            if letter in "%_":
                return "\\" + letter
            if letter not in _ESCAPES and letter.lower() not in _ESCAPES:
                raise malformed(f"line 1:{token.at} Illegal escape sequence '\\{letter}'")
            return _ESCAPES.get(letter) or _ESCAPES[letter.lower()]

        return _ESCAPE.sub(one, token.text[1:-1])

    def _path(self) -> tuple[str, ...]:
        name = self._name()
        return ("COUNT",) if name.upper() == "COUNT" else tuple(name.split("."))

    def _name(self) -> str:
        if self._peek_kind() != "name":
            raise self._unexpected()
        self.place += 1
        return self.tokens[self.place - 1].text

    def _count(self) -> int:
        if not self._peek().isdecimal():
            raise self._unexpected()
        self.place += 1
        return int(self.tokens[self.place - 1].text)

    def _without_alias(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return path[1:] if len(path) > 1 and path[0].lower() == self.alias else path

    def _peek(self) -> str:
        return self.tokens[self.place].text if self.place < len(self.tokens) else ""

    def _peek_kind(self) -> str:
        return self.tokens[self.place].kind if self.place < len(self.tokens) else ""

    def _take(self, word: str) -> bool:
        if self._peek().upper() != word or self._peek_kind() == "text":
            return False
        self.place += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._unexpected()

    def _unexpected(self) -> ApiError:
        if self.place >= len(self.tokens):
            return malformed("unexpected token: '<EOF>'")
        token = self.tokens[self.place]
        pointed = f"{self.text[max(0, token.at - 30) : token.at + 30]}\n"
        return malformed(f"\n{pointed}^\nERROR at Row:1:Column:{token.at + 1}\nunexpected token: '{token.text}'")
