"""Compile the companion app and pack it: `make rocketchat-app`. From the lock; the same source gives the same zip.

Exit 0: the zip is there; 1: it does not compile; 2: a tool is missing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD, DIST = HERE / "build", HERE / "dist"
INSTALL = "apt-get install nodejs npm"
EPOCH = (1980, 1, 1, 0, 0, 0)


class BuildError(Exception):
    """Its text says what to do."""


def fetch() -> None:
    """The compiler and the definitions of the lock, from npm's cache where they are there. Raises BuildError."""
    mark, lock = HERE / "node_modules" / ".fetched", HERE / "package-lock.json"
    if mark.is_file() and mark.read_bytes() == lock.read_bytes():
        return
    print(f"Fetching the packages of {lock} ...", flush=True)
    run("npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
    mark.write_bytes(lock.read_bytes())


def compile_app() -> None:
    """TypeScript -> `build/`, which holds nothing else. Raises BuildError."""
    shutil.rmtree(BUILD, ignore_errors=True)
    run("node", "node_modules/typescript/bin/tsc", "-p", ".")


def pack() -> Path:
    """`dist/SLUG_VERSION.zip`: app.json, icon, translations and the compiled files; no source and no package."""
    manifest = json.loads((HERE / "app.json").read_text("utf-8"))
    content = {name: HERE / name for name in ("app.json", manifest["iconFile"])}
    content |= {f"i18n/{each.name}": each for each in (HERE / "i18n").glob("*.json")}
    content |= {each.relative_to(BUILD).as_posix(): each for each in BUILD.rglob("*.js")}
    DIST.mkdir(exist_ok=True)
    found = DIST / f"{manifest['nameSlug']}_{manifest['version']}.zip"
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, content[name].read_bytes())
    return found


def run(*command: str) -> None:
    """In this folder. Raises BuildError."""
    if shutil.which(command[0]) is None:
        raise BuildError(f"{command[0]} is missing: {INSTALL}")
    if subprocess.run(command, cwd=HERE, check=False).returncode:  # noqa: S603 - commands of this file
        raise BuildError(f"{' '.join(command[:3])} failed: see above")


def main() -> int:
    """One line with the path of the zip."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            print(f"{name} is missing: {INSTALL}", file=sys.stderr)
            return 2
    try:
        fetch()
        compile_app()
        print(pack())
    except BuildError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
