"""Reading what clients send as strictly as HubSpot's JSON binding, and writing times as HubSpot does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sandbox.hubspot.errors import ApiError

_JAVA = {"string": "java.lang.String", "object": "java.util.LinkedHashMap", "array": "java.util.ArrayList"}
_PYTHON: Mapping[str, type] = {"string": str, "object": dict, "array": list, "integer": int, "boolean": bool}

_TOKENS = {
    bool: ("Boolean", "VALUE_BOOLEAN"),
    int: ("Integer", "VALUE_NUMBER_INT"),
    float: ("Floating-point", "VALUE_NUMBER_FLOAT"),
    str: ("String", "VALUE_STRING"),
    list: ("Array", "START_ARRAY"),
    dict: ("Object", "START_OBJECT"),
}


# All records of a batch carry the same few moments.
@lru_cache(maxsize=4096)
def iso(moment: float) -> str:
    """A Unix time as HubSpot writes it: UTC, milliseconds, `Z`."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Shape:
    """The members of a JSON object: name to kind (`string`, `object`, `array`, `integer`, `boolean`)."""

    name: str
    required: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)


class Body:
    """A decoded request body that remembers its text, so that a refusal can point into it."""

    def __init__(self, raw: bytes) -> None:
        try:
            self.text = raw.decode()
            self.document: Any = json.loads(self.text)
        except UnicodeDecodeError:
            raise ApiError(400, "Invalid input JSON on line 1, column 1: Invalid UTF-8", None) from None
        except json.JSONDecodeError as error:
            raise ApiError(
                400, f"Invalid input JSON on line {error.lineno}, column {error.colno}: {error.msg}", None
            ) from None
        except RecursionError:
            raise ApiError(400, "Invalid input JSON on line 1, column 1: Document nesting too deep", None) from None

    def invalid(self, why: str, member: str | None = None) -> ApiError:
        """The refusal of this body; points at the first place where `member` is written."""
        position = self.text.find(json.dumps(member)) if member else 0
        position = max(position, 0)
        line = self.text.count("\n", 0, position) + 1
        column = position - (self.text.rfind("\n", 0, position) + 1) + 1
        return ApiError(400, f"Invalid input JSON on line {line}, column {column}: {why}", None)

    def check(self, value: Any, shape: Shape) -> dict[str, Any]:
        """`value` if it is an object of this shape; raises ApiError (400) if not."""
        if not isinstance(value, dict):
            raise self.invalid(f"Cannot deserialize value of type `{shape.name}` from {_token(value)}")
        for name, member in value.items():
            kind = shape.required.get(name) or shape.optional.get(name)
            if kind is None:
                raise self.invalid(
                    f'Unrecognized field "{name}" (class {shape.name}), not marked as ignorable', member=name
                )
            if member is None and name in shape.optional:
                continue
            self._check_kind(member, kind, name)
        missing = [name for name in shape.required if name not in value]
        if missing:
            raise self.invalid(
                f"Cannot build {shape.name}, some of required attributes are not set [{', '.join(missing)}]"
            )
        return value

    def check_strings(self, values: Mapping[str, Any] | list[Any]) -> None:
        """Property maps hold text or null, id lists text; numbers and booleans are not coerced."""
        pairs = values.items() if isinstance(values, Mapping) else ((None, value) for value in values)
        for name, value in pairs:
            if type(value) is not str and not (value is None and name is not None):
                self._check_kind(value, "string", name)

    def _check_kind(self, value: Any, kind: str, member: str | None) -> None:
        expected = _PYTHON[kind]
        if not isinstance(value, expected) or (kind == "integer" and isinstance(value, bool)):
            raise self.invalid(
                f"Cannot deserialize value of type `{_JAVA.get(kind, kind)}` from {_token(value)}", member=member
            )


def _token(value: Any) -> str:
    name, token = _TOKENS.get(type(value), ("Null", "VALUE_NULL"))
    return f"{name} value (token `JsonToken.{token}`)"
