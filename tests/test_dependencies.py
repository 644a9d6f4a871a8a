"""What `make check` says of the dependencies; a lock that was tampered with does not pass."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def checking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The check, on a copy of the lock."""
    spec = importlib.util.spec_from_file_location("requirements_check", ROOT / "deploy/requirements.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    (tmp_path / "requirements").mkdir()
    for path in ("pyproject.toml", *(f"requirements/{name}.txt" for name in made.FILES)):
        (tmp_path / path).write_text((ROOT / path).read_text())
    for folder in (*made.PRODUCT, "sandbox"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.setattr(made, "ROOT", tmp_path)
    return made


def test_the_lock_is_what_is_asked_for_installed_and_needed(checking: ModuleType) -> None:
    assert list(checking.problems()) == []


@pytest.mark.parametrize(
    ("path", "before", "after", "words"),
    [
        ("requirements/run.txt", "httpx==0.28.1", "httpx==0.27.0", "is not what pyproject.toml asks for"),
        ("requirements/dev.txt", "h11==0.16.0", "h11==0.15.0", "h11 0.15.0 is agreed on, installed is 0.16.0"),
        ("requirements/dev.txt", "h11==0.16.0", "h11==0.15.0", "differ about h11"),
        ("requirements/run.txt", "    # via httpcore\n", "    # via nobody\n", "nothing needs h11 any more"),
        ("pyproject.toml", '"click>=8.1"', '"click>=8.1", "left-pad>=1"', "left-pad is imported nowhere"),
        ("pyproject.toml", '  "structlog>=24.4",\n', "", "nothing needs structlog any more"),
    ],
)
def test_what_does_not_agree_is_named(
    checking: ModuleType, tmp_path: Path, path: str, before: str, after: str, words: str
) -> None:
    file = tmp_path / path
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    assert any(words in problem for problem in checking.problems()), list(checking.problems())


def test_a_requirement_without_a_hash_or_without_a_version_is_none(checking: ModuleType, tmp_path: Path) -> None:
    [pin] = checking.pins_of("x==1 \\\n    # via y")
    assert pin.hashes == 0
    for text in (
        "x>=1 \\\n    --hash=sha256:0",
        "git+https://example.com/x",
        "x @ https://example.com/x.whl",
        "--index-url x",
    ):
        with pytest.raises(ValueError, match="no"):
            list(checking.pins_of(text))


def test_an_exception_from_a_security_rule_says_why(checking: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "deploy").unlink()
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/x.py").write_text(
        "import os\nos.system('x')  # noqa: S605\nos.system('y')  # noqa: S605 - safe\n"
    )
    assert [problem.split(": ")[0] for problem in checking.problems()] == ["deploy/x.py:2"]
