"""Writes what is generated of the documentation: whole pages (schema, access, errors, commands), and outputs on others.

python -m docs.build            write them
python -m docs.build --check    exit with 1 when they are stale
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

from docs import access, commands, errors, readme, schema
from docs.outputs import shape, with_outputs
from docs.questions import PAGE as QUESTIONS
from docs.scene import GIVEN, scene
from sandbox.postgres import EmbeddedPostgres, embedded
from sql.migrate import migrate

ROOT = Path(__file__).parent.parent


def build() -> dict[Path, str]:
    """The generated text of each file, from a fresh database of the embedded Postgres."""
    with embedded(fast=True) as server:
        migrate(server.url)
        with psycopg.connect(server.url, autocommit=True) as connection:
            pages = {ROOT / "docs" / "schema.md": schema.page(connection)}
            pages[ROOT / "docs" / "access.md"] = access.page(connection)
            pages[ROOT / "docs" / "errors.md"] = errors.page(connection)
        pages[QUESTIONS] = _answered(server)
        pages[ROOT / "docs" / "commands.md"] = commands.page()
        pages[ROOT / "README.md"] = readme.with_outputs((ROOT / "README.md").read_text(), server.url)
    return pages


def _answered(server: EmbeddedPostgres) -> str:
    """The page of questions, asked after the night that it tells of, in a database of its own."""
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("create database night")
    url = server.url.rpartition("/")[0] + "/night"
    migrate(url)
    with scene(url), psycopg.connect(url, autocommit=True) as reader:
        reader.execute("set role crm_sync_reader")
        return with_outputs(QUESTIONS.read_text(), reader, GIVEN, is_live=True)


def main(arguments: list[str]) -> int:
    try:
        pages = build()
    except schema.Stale as contradiction:
        print(contradiction, file=sys.stderr)  # noqa: T201
        return 1
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        # a night is never quite the same: of the page that tells of one, what is asked and answered counts
        stale = [path for path in stale if path != QUESTIONS or shape(path.read_text()) != shape(pages[path])]
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale; run: make docs", file=sys.stderr)  # noqa: T201
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages[path])
    print(f"wrote {len(stale)} page(s)")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
