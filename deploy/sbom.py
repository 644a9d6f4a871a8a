"""Writes what is in a release, for machines: a software bill of materials as CycloneDX 1.6 (JSON), from the lock files.

python deploy/sbom.py build        writes build/crm-sync.cdx.json

The daemon's and the console's packages are required, what tests and the sandbox add is excluded from what is run. The
same lock files make the same bytes, whenever it is written: `serialNumber` comes from them, and there is no date.
"""

from __future__ import annotations

import json
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).parent))

from requirements import FILES, ROOT, Pin, pins_of

NAME = "crm-sync.cdx.json"


def bill() -> dict[str, Any]:
    """The document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins: dict[str, Pin] = {}
    parents: dict[str, set[str]] = {}
    scopes: dict[str, str] = {}
    for file in FILES:  # the smallest first: what is in it is required
        for pin in pins_of((ROOT / f"requirements/{file}.txt").read_text()):
            pins.setdefault(pin.name, pin)
            scopes.setdefault(pin.name, "required" if file == "run" else "excluded")
            parents.setdefault(pin.name, set()).update(pin.wanted_by)
    itself = purl(project["name"], project["version"])
    needs: dict[str, set[str]] = {itself: set(), **{purl(*pin[:2]): set() for pin in pins.values()}}
    for name, wanted_by in parents.items():
        for each in wanted_by:
            parent = pins.get(canonicalize_name(each.partition("[")[0]))
            needs[itself if parent is None else purl(*parent[:2])].add(purl(*pins[name][:2]))
    components = [
        {
            "type": "library",
            "bom-ref": purl(pin.name, pin.version),
            "name": pin.name,
            "version": pin.version,
            "scope": scopes[pin.name],
            "purl": purl(pin.name, pin.version),
            # of the files that may be installed: one for each platform
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": purl(pin.name, pin.version),
                    "hashes": [{"alg": "SHA-256", "content": each} for each in pin.hashes],
                }
            ],
        }
        for pin in sorted(pins.values())
    ]
    whole = json.dumps([components, {ref: sorted(each) for ref, each in needs.items()}], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, itself + whole).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": itself,
                "name": project["name"],
                "version": project["version"],
                "purl": itself,
            }
        },
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(each)} for ref, each in sorted(needs.items())],
    }


def purl(name: str, version: str) -> str:
    """A package's URL, which names no registry's host."""
    return f"pkg:pypi/{canonicalize_name(name)}@{version.replace('+', '%2B')}"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(json.dumps(bill(), indent=2) + "\n")
    sys.stdout.write(f"{folder / NAME}\n")


if __name__ == "__main__":
    main()
