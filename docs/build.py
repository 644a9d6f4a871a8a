"""Writes what is generated of the documentation: schema.md, errors.md, commands.md, and the outputs that pages show.

python -m docs.build            write them
python -m docs.build --check    exit with 1 when they are stale
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

from docs import commands, errors, readme, schema
from sandbox.postgres import embedded
from sql.migrate import migrate

ROOT = Path(__file__).parent.parent


def build() -> dict[Path, str]:
    """The generated text of each file, from a fresh database of the embedded Postgres."""
    with embedded(fast=True) as server:
        migrate(server.url)
        with psycopg.connect(server.url, autocommit=True) as connection:
            pages = {ROOT / "docs" / "schema.md": schema.page(connection)}
            pages[ROOT / "docs" / "errors.md"] = errors.page(connection)
        pages[ROOT / "docs" / "commands.md"] = commands.page()
        pages[ROOT / "README.md"] = readme.with_outputs((ROOT / "README.md").read_text(), server.url)
    return pages


def main(arguments: list[str]) -> int:
    try:
        pages = build()
    except schema.Stale as contradiction:
        print(contradiction, file=sys.stderr)  # noqa: T201
        return 1
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale; run: make docs", file=sys.stderr)  # noqa: T201
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages[path])
    print(f"wrote {len(stale)} page(s)")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
