"""The file of settings: YAML 1.2 on the outside, JSON on the inside, and words for what is wrong with it.

`no` and `on` are texts, a key that comes twice is refused, and numbers keep all their digits.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from io import StringIO
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StrictBool, ValidationError, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from listener.errors import InvalidSettings

HEAD = """\
# The settings of pg-crm-sync. What this file names is made so, what it does not name stays as it is (with --prune it
# goes back to its default). No secrets: CRMs are connected by crm-sync connect.
#   crm-sync config diff FILE        what would change
#   crm-sync config apply FILE       change it, all or nothing
"""
ORDER = ("version", "config", "providers", "intent_rules", "alert_rules", "organizations")
CONNECTION_ORDER = ("sync_frequency", "sync_settings", "field_mappings", "sync_filters")
ALERT_RULE_ORDER = ("condition", "threshold", "for_at_least", "clear_after", "severity", "is_active", "remedy")
LARGEST_EXPONENT = 1000
MOST_VALUES = 200_000
DEEPEST = 50
SECRET = re.compile(r"(^|_|-)(credentials?|token|secret|password|api_?key|key)$", re.I)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Part):
    """What an intent means."""

    contact_status: Literal["new", "contacted", "qualified", "unqualified"] | None = None
    create_deal: StrictBool = False


class AlertRule(_Part):
    """What is to alarm. Of a rule that is there, what is not set stays; a new one needs those without a default."""

    condition: str = ""
    threshold: Decimal = Decimal(1)
    for_at_least: str = "0 seconds"
    clear_after: str = "1 minute"
    severity: Literal["info", "warning", "critical"] = "warning"
    is_active: StrictBool = True
    remedy: str = ""

    @field_validator("threshold", mode="before")
    @classmethod
    def _a_number(cls, threshold: object) -> object:
        if isinstance(threshold, bool) or not isinstance(threshold, int | Decimal):
            raise ValueError("must be a number")  # noqa: TRY004 - which pydantic turns into words
        return threshold


class Provider(_Part):
    """Of a CRM, what differs from what was shipped."""

    is_active: StrictBool = True
    config: dict[str, Any] = {}


class Connection(_Part):
    """Of a connection, what differs from the CRM's defaults."""

    sync_frequency: Literal["realtime", "hourly", "daily"] = "realtime"
    sync_settings: dict[str, Any] = {}
    field_mappings: dict[str, Any] = {}
    sync_filters: dict[str, Any] = {}


class Organization(_Part):
    """Its own rules, and its connections by CRM and name: hubspot/default."""

    intent_rules: dict[str, Rule | None] = {}
    alert_rules: dict[str, AlertRule | None] = {}
    connections: dict[str, Connection] = {}


class Document(_Part):
    """The whole file. What is not set was not named, and stays."""

    version: Literal[1]
    config: dict[str, Any] = {}
    providers: dict[str, Provider] = {}
    intent_rules: dict[str, Rule | None] = {}
    alert_rules: dict[str, AlertRule | None] = {}
    organizations: dict[str, Organization] = {}

    @field_validator("organizations")
    @classmethod
    def _named_by_id(cls, organizations: dict[str, Organization]) -> dict[str, Organization]:
        named: dict[str, Organization] = {}
        for key, organization in organizations.items():
            try:
                name = str(UUID(key))
            except ValueError:
                raise ValueError(f"{key} is not the id of an organization") from None
            if name in named:
                raise ValueError(f"{name} comes twice")
            named[name] = organization
        return named


class _Constructor(SafeConstructor):
    def construct_yaml_float(self, node: ScalarNode) -> Any:
        try:
            number = Decimal(node.value.replace("_", ""))
        except ArithmeticError:
            number = Decimal("nan")
        if not number.is_finite() or abs(number.adjusted()) > LARGEST_EXPONENT:
            raise ConstructorError(None, None, f"{node.value} is no number that a setting can have", node.start_mark)
        return number


_Constructor.add_constructor("tag:yaml.org,2002:float", _Constructor.construct_yaml_float)
_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_str)


class _Representer(SafeRepresenter):
    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> Any:
        # a line end of any kind, or what nobody sees: escaped, in quotes
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if data.isprintable() else '"')

    def represent_decimal(self, data: Decimal) -> Any:
        text = format(data, "f")
        return self.represent_scalar("tag:yaml.org,2002:float", text if "." in text else text + ".0")


_Representer.add_representer(Decimal, _Representer.represent_decimal)
_Representer.add_representer(str, _Representer.represent_str)


def parse(text: str) -> str:
    """A file's text as a document for the database, as JSON; raises `InvalidSettings` with line or path."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        found = yaml.load(text)
    except YAMLError as error:
        raise InvalidSettings(_yaml_words(error)) from None
    except RecursionError:
        raise InvalidSettings("the file is too deep") from None
    if not isinstance(found, dict):
        raise InvalidSettings("the file has no settings; it begins with: version: 1")
    for path, value in _everything(found):
        _require_plain(value, path)
    try:
        document = Document.model_validate(found)
    except ValidationError as error:
        raise InvalidSettings("\n".join(_words(detail) for detail in error.errors())) from None
    return to_json(document.model_dump(exclude_unset=True))


def render(document: str) -> str:
    """A document of the database as the text of a file: sorted, with the names of organizations beside their ids."""
    found = json.loads(document, parse_float=Decimal)
    names = {key: value.pop("name", None) for key, value in found.get("organizations", {}).items()}
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = True
    yaml.width = 1000
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    yaml.dump(_ordered(found), stream)
    head, between, organizations = stream.getvalue().partition("\norganizations:\n")
    for key, name in names.items():
        words = " ".join("".join(letter if letter.isprintable() else " " for letter in name or "").split())
        if words:
            organizations = _above(organizations, f"  {key}:", f"  # {words}")
    return HEAD + head + between + organizations


def _above(text: str, line: str, comment: str) -> str:
    """The text with a comment above the line that is there once."""
    lines = text.split("\n")
    place = next(number for number, each in enumerate(lines) if each.startswith(line))
    return "\n".join([*lines[:place], comment, *lines[place:]])


def to_json(value: Any) -> str:
    """JSON in which a number has all its digits."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {to_json(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_json, value)) + "]"
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)


def _ordered(value: Any, order: tuple[str, ...] = ORDER) -> Any:
    if isinstance(value, list):
        return [_ordered(each) for each in value]
    if not isinstance(value, dict):
        return value
    known = [*ORDER, *CONNECTION_ORDER, *ALERT_RULE_ORDER]
    rank = {key: known.index(key) for key in value if key in known}
    return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: (rank.get(key, len(known)), key))}


def _everything(found: Any) -> Iterator[tuple[str, Any]]:
    """All values with their paths, outermost first.

    Aliases may make of a few lines more than memory holds, or a circle: raises `InvalidSettings` for either.
    """
    waiting, room = deque([(0, "", found)]), MOST_VALUES
    while waiting:
        depth, path, value = waiting.popleft()
        yield path, value
        inner: list[tuple[str, Any]] = []
        if isinstance(value, dict):
            inner = [(f"{path}.{key}" if path else str(key), each) for key, each in value.items()]
        elif isinstance(value, list):
            inner = [(f"{path}[{number}]", each) for number, each in enumerate(value, start=1)]
        room -= len(inner)
        if room < 0:
            raise InvalidSettings(f"the file has more than {MOST_VALUES:,} values")
        if inner and depth == DEEPEST:
            raise InvalidSettings("the file is too deep")
        waiting += [(depth + 1, *each) for each in inner]


def _require_plain(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise InvalidSettings(f"{path or 'the file'}: the key {key} is not a text; put it in quotes")
    elif not isinstance(value, list) and value is not None and not isinstance(value, str | bool | int | Decimal):
        raise InvalidSettings(f"{path}: a {type(value).__name__} cannot be a setting")


def _words(detail: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    if detail["type"] == "extra_forbidden":
        is_secret = SECRET.search(path.rpartition(".")[2])
        why = "secrets have no place here; crm-sync connect takes them" if is_secret else "there is no such key here"
    else:
        why = str(detail["msg"]).removeprefix("Value error, ")
        why = why[:1].lower() + why[1:]
    return f"{path}: {why}"


def _yaml_words(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    problem = str(problem).partition(" with value ")[0]  # which may be what nobody should read
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem
