"""Secrets and people that must not turn up where they do not belong: the forms they might have, and a search."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Bytes of a form at least: a shorter one would be found by chance."""


def forms_of(text: str) -> set[bytes]:
    """A text as it is, and as a log, a dump or a header might write it."""
    raw = text.encode()
    as_json = json.dumps(text)[1:-1]
    words = {
        raw,
        as_json.encode(),
        json.dumps(as_json)[1:-1].encode(),
        json.dumps(text, ensure_ascii=False)[1:-1].encode(),
    }
    words |= {quote(text, safe="").encode(), quote_plus(text).encode(), text.replace("'", "''").encode()}
    words |= {text.replace("/", "\\/").encode(), raw.hex().encode(), raw.hex().upper().encode()}
    for ahead in range(3):
        # whatever precedes it, base64 begins anew every three bytes; what its neighbours take part in is cut off
        whole = base64.b64encode(b"\0" * ahead + raw)
        cut = whole[(0, 2, 3)[ahead] : len(whole) - (0, 3, 2)[(ahead + len(raw)) % 3]]
        words |= {cut, cut.translate(bytes.maketrans(b"+/", b"-_"))}
    return {each for each in words if len(each) >= SHORTEST}


@dataclass(frozen=True)
class Finding:
    """A canary that was found, by its name, with where it was and what was around it."""

    name: str
    place: str
    around: str


class Canaries:
    """Texts by name, which may be told to anybody here."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def add(self, name: str, text: str) -> str:
        """Watch for it from now on; returns the text."""
        if len(text) < SHORTEST:
            raise ValueError(f"{name} is too short to be told from chance")
        self._texts.setdefault(text, name)
        return text

    @property
    def texts(self) -> list[str]:
        """All of them, the oldest first."""
        return list(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def found_in(self, *places: Path, most: int = 12) -> list[Finding]:
        """Where they turn up in files and folders; the first few."""
        forms = {form: name for text, name in self._texts.items() for form in forms_of(text)}
        patterns = b"\n".join(sorted(forms)) + b"\n"
        # no form holds a line's end; grep reads a gigabyte in the time in which Python reads a few megabytes
        options = ["--recursive", "--text", "--byte-offset", "--only-matching", "--null", "--fixed-strings", "--file=-"]
        done = subprocess.run(
            ["grep", *options, "--", *map(str, places)],
            input=patterns,
            capture_output=True,
            check=False,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        )
        if done.returncode > 1:
            raise RuntimeError(done.stderr.decode())
        return list(_findings(done.stdout.splitlines(), forms, most))

    def found_in_text(self, place: str, text: str) -> list[Finding]:
        """Where they turn up in a text, which `place` names."""
        raw = text.encode()
        return [
            Finding(name, place, _around(raw, raw.index(form), form))
            for each, name in self._texts.items()
            for form in forms_of(each)
            if form in raw
        ]


def _findings(lines: Iterable[bytes], forms: dict[bytes, str], most: int) -> Iterator[Finding]:
    counted: dict[tuple[str, str], int] = {}
    for line in lines:
        place, _, rest = line.partition(b"\0")
        offset, _, form = rest.partition(b":")
        name, path = forms.get(form, "a part of one"), Path(place.decode())
        counted[name, path.name] = counted.get((name, path.name), 0) + 1
        if counted[name, path.name] > 1 or len(counted) > most:
            continue
        with path.open("rb") as file:
            file.seek(max(0, int(offset) - 400))
            piece = file.read(600 + len(form))
        yield Finding(name, f"{path.name}:{int(offset)}", _around(piece, min(400, int(offset)), form))


def _around(raw: bytes, at: int, form: bytes) -> str:
    return raw[max(0, at - 400) : at + len(form) + 200].decode(errors="replace")
