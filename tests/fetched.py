"""Things of others that some checks need: fetched when they run, pinned by version and hash, never committed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


class Missing(Exception):
    """A tool is not there; the text says how to install it."""


def tool(name: str, install: str) -> str:
    """Its path. Raises Missing."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is missing: {install}")
    return found


def fetch_npm(folder: Path) -> Path:
    """`npm ci` into folder/node_modules, unless what is there is of this lock. Scripts of packages are not run."""
    lock, modules = folder / "package-lock.json", folder / "node_modules"
    if _is_fresh(modules / ".fetched", lock):
        return modules
    print(f"Fetching the packages of {lock} ...", flush=True)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"], folder)
    _mark(modules / ".fetched", lock)
    return modules


def fetch_python(venv: Path, requirements: Path) -> Path:
    """A venv with what the file pins; its interpreter."""
    python = venv / "bin" / "python"
    if _is_fresh(venv / ".fetched", requirements):
        return python
    print(f"Installing {requirements} into {venv.name} ...", flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(venv)], requirements.parent)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--require-hashes"]
    _run([*pip, "-r", str(requirements)], requirements.parent)
    _mark(venv / ".fetched", requirements)
    return python


def _is_fresh(mark: Path, source: Path) -> bool:
    return mark.is_file() and mark.read_bytes() == source.read_bytes()


def _mark(mark: Path, source: Path) -> None:
    mark.write_bytes(source.read_bytes())


def _run(command: list[str], folder: Path) -> None:
    """Raises Missing with what the command said, when it fails."""
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode:
        raise Missing(f"{' '.join(command)} failed in {folder}: see above")
