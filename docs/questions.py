"""The questions of docs/questions.md: each heading with the one SELECT below it that answers it.

Parameters are written as psql takes them, `:'message_id'` or `:integration_id`: a block runs there as it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent / "questions.md"
BLOCK = re.compile(r"^#{2,4} +(?P<title>.+?)\s*$|^```sql\n(?P<sql>.*?)^```", re.MULTILINE | re.DOTALL)
PARAMETER = re.compile(r"(?<![:\w]):(?:'(?P<quoted>[a-z_]+)'|(?P<bare>[a-z_]+))")


@dataclass(frozen=True)
class Question:
    """One question and its answer."""

    title: str
    sql: str

    @property
    def parameters(self) -> frozenset[str]:
        """Names of what has to be given."""
        return frozenset(found["quoted"] or found["bare"] for found in PARAMETER.finditer(self.sql))

    @property
    def statement(self) -> str:
        """As psycopg takes it: with `%(name)s` for each parameter."""
        escaped = self.sql.replace("%", "%%") if self.parameters else self.sql
        return PARAMETER.sub(lambda found: f"%({found['quoted'] or found['bare']})s", escaped)


def questions(path: Path = PAGE) -> list[Question]:
    """Those of a page; a heading that is followed by several blocks asks several."""
    found, title = [], ""
    for part in BLOCK.finditer(path.read_text()):
        if part["title"]:
            title = part["title"]
        else:
            found.append(Question(title, part["sql"].strip().rstrip(";").strip()))
    return found
