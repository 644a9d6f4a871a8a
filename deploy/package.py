"""Makes build/crm-sync_VERSION_ARCHITECTURE.deb of what deploy/install.py installs; needs dpkg-deb.

python deploy/package.py [BUILD]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from install import ROOT, Layout, install, interpreter, refuse

DEBIAN = ROOT / "deploy" / "debian"


def main() -> None:
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build").absolute()
    if shutil.which("dpkg-deb") is None:
        refuse("There is no dpkg-deb: packages for Debian are made on Debian.")
    python = Path(interpreter())
    if python.parent != Path("/usr/bin"):
        refuse(f"{python} is not the system's: only what runs on /usr/bin/{python.name} can be packaged.")
    sys.path.insert(0, str(ROOT))
    from listener import __version__  # noqa: PLC0415 - ours, and not where this file is

    tree = build / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    tree.chmod(0o755)
    install(Layout(str(tree), "/usr"))
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()  # noqa: S607 - the system's own
    (tree / "DEBIAN").mkdir(mode=0o755)
    for each in sorted(DEBIAN.iterdir()):
        text = each.read_text()
        for word, meaning in {"VERSION": __version__, "ARCHITECTURE": architecture, "PYTHON": python.name}.items():
            text = text.replace(f"@{word}@", meaning)
        target = tree / "DEBIAN" / each.name
        target.write_text(text)
        target.chmod(0o644 if each.name in ("control", "conffiles") else 0o755)
    package = build / f"crm-sync_{__version__}_{architecture}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z3", "--build", str(tree), str(package)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    shutil.rmtree(tree)
    print(package)  # noqa: T201


if __name__ == "__main__":
    main()
