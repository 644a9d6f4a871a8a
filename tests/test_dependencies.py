"""What `make check` says of the dependencies; a lock that was tampered with does not pass."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
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
    assert pin.hashes == ()
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


def test_a_version_that_its_authors_withdrew_is_named(
    checking: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pip = tmp_path / "python"
    said = "WARNING: The candidate selected is a yanked version: 'h11' candidate (version 0.16.0 at file:///x)"
    pip.write_text(f'#!/bin/sh\necho "{said}" >&2\n')
    pip.chmod(0o755)
    assert checking._ask_for_withdrawn(pip, "run") == 1
    assert capsys.readouterr().out == "requirements/run.txt: h11 0.16.0 was withdrawn by its authors\n"
    pip.write_text("#!/bin/sh\n")
    assert checking._ask_for_withdrawn(pip, "run") == 0
    assert "none was withdrawn" in capsys.readouterr().out


def test_the_bill_of_materials_has_each_package_that_is_pinned_with_its_hashes(tmp_path: Path) -> None:
    written = [tmp_path / name / "crm-sync.cdx.json" for name in ("once", "again")]
    for path in written:
        subprocess.run([sys.executable, ROOT / "deploy/sbom.py", path.parent], check=True, capture_output=True)
    bill = json.loads(written[0].read_text())
    assert written[0].read_bytes() == written[1].read_bytes()
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    locks = "".join((ROOT / f"requirements/{name}.txt").read_text() for name in ("run", "sandbox", "dev"))
    found = {each["purl"]: each for each in bill["components"]}
    assert found.keys() == {
        f"pkg:pypi/{name}@{version}" for name, version in re.findall(r"^([a-z0-9.-]+)(?:\[.*\])?==(\S+)", locks, re.M)
    }
    hashes = {each["content"] for purl in found for each in found[purl]["externalReferences"][0]["hashes"]}
    assert hashes == set(re.findall("sha256:([0-9a-f]{64})", locks))
    assert {each["ref"] for each in bill["dependencies"]} == {*found, bill["metadata"]["component"]["purl"]}
    assert {ref for each in bill["dependencies"] for ref in each["dependsOn"]} == set(found), (
        "each is needed by another"
    )
    assert found["pkg:pypi/asyncpg@" + version_of("asyncpg")]["scope"] == "required"
    assert found["pkg:pypi/pytest@" + version_of("pytest")]["scope"] == "excluded"
    assert "http" not in re.sub(r"pkg:pypi/[^\"]+|\"name\": \"[^\"]+\"", "", written[0].read_text())


def version_of(package: str) -> str:
    return importlib.metadata.version(package)
