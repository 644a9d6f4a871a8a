"""A tree of SQL files that differs from ours as the next version's would."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sql.migrate import LAST, REPEATABLE, ROOT


@contextmanager
def changed_tree(function: str | None) -> Iterator[Path]:
    """A copy in which the file of one function has changed, or all that is repeatable; what they do has not."""
    with tempfile.TemporaryDirectory(prefix="crm-sync-tree-") as folder:
        root = Path(folder, "sql")
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
        changed = (
            [root / "functions" / f"{function}.sql"]
            if function is not None
            else [
                *(path for folder in REPEATABLE for path in root.glob(f"{folder}/*.sql")),
                *(root / name for name in LAST),
            ]
        )
        for path in changed:
            path.write_text(f"{path.read_text()}\n-- changed\n")
        yield root
